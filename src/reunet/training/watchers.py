"""Keras callbacks in our loop: an epoch of theirs is what lies between two validations."""

from collections.abc import Sequence

import keras


class Watchers:
    """Those who watch a training, and may end it: `model.stop_training = True`.

    They hear of the beginning and the end, of each step with its loss, and at each validation of the mean
    loss of late, the score of the held-out cases, the learning rate and the step.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], model: keras.Model) -> None:
        self._model, self._epoch = model, 0
        self._list = keras.callbacks.CallbackList(list(callbacks), model=model)

    def begin(self) -> None:
        self._model.stop_training, self._epoch = False, 0
        self._list.on_train_begin()
        self._list.on_epoch_begin(0)

    def before_step(self, k: int) -> None:
        self._list.on_train_batch_begin(k)

    def after_step(self, k: int, loss: float) -> None:
        self._list.on_train_batch_end(k, {"loss": loss})

    def validated(self, step: int, loss: float, score: float | None, rate: float) -> None:
        logs = {"loss": loss, "val_score": score, "learning_rate": rate, "step": step}
        self._list.on_epoch_end(self._epoch, {name: x for name, x in logs.items() if x is not None})
        self._epoch += 1
        self._list.on_epoch_begin(self._epoch)

    def end(self) -> None:
        self._list.on_train_end()

    @property
    def want_an_end(self) -> bool:
        return bool(self._model.stop_training)
