"""`reunet train`: from a folder of images and masks to a run folder."""

import time

from reunet.contracts.options.records import TrainOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.pack import run_at
from reunet.contracts.results import TrainResult
from reunet.contracts.run import RunFolder
from reunet.datasets.splits import Splits
from reunet.flows.train.beginning import begun, encoder_weights, settled_plan
from reunet.flows.train.training import made_network, trained


@verb(TrainOptions)
def train(options: TrainOptions) -> TrainResult:
    """Train a U-Net on a dataset and write the run folder `output`.

    The dataset is a folder, or `images` and `masks`. A `plan` is followed instead of planning. With `init`
    the network of that run is used and its weights are the start; its class list may differ, and a `preset`
    with memory beside the path adds that memory. `freeze` keeps the encoder of `init`, or a pretrained one,
    as it is; `encoder_weights` are `imagenet`, from the extra `photo` or downloaded once by Keras, the file
    of such weights, or `none` for fresh ones. `resume` goes on with the training in `output`, exactly where
    its last checkpoint was. Minutes count from `started`
    (`time.monotonic()`), or from now, to the final weights; ten when no budget is given.

    `processes` train together, on JAX: this is the one of number `process_id`, from 0, and all meet at
    `coordinator`, HOST:PORT of the first one. All see the same files under the same paths; the first one
    writes. (`reunet train --processes N` alone starts all of them here.)

    Python may give functions: `callbacks` of Keras, which hear of every step and validation; a `loss` of
    targets and logits, or a dict of them by head; a `network` that makes a Keras model of the configuration.
    The plan names them as `custom`, and what needs them later says so. `log` writes RUN/tensorboard.

    Raises DataError, UsageError, PlanError, StorageError, CheckpointError, TrainingError, BackendError;
    InterruptedRunError after Ctrl-C or SIGTERM, when the state is saved.
    """
    started = time.monotonic() if options.started is None else options.started
    run = RunFolder(options.run)
    if options.several or (options.resume and run.trainings_file.is_file()):
        from reunet.flows.folds.train import train_several

        return train_several(options, started)
    with begun(options, settled_plan(options), started) as begin:
        planned = begin.settled.network.encoder if begin.settled else options.encoder
        weights = encoder_weights(options, planned)
        prepared = begin.read(_splits_before(options))
        plan = begin.fitted(begin.settled or begin.new_plan(prepared.fingerprint), prepared)
        weights = weights or encoder_weights(options, plan.network.encoder)
        begin.team.share(plan.batch)
        setting = begin.setting(plan, run, started)
        model = made_network(setting, resume=options.resume, init=options.init, weights=weights)
        begin.open_folder(plan, prepared)
        result, validator = trained(setting, model, prepared, resume=options.resume, log=options.log)
        if begin.team.is_first:
            from reunet.flows.train.finish import finish

            finish(setting, prepared, validator, result, options.lang)
        return result


def _splits_before(options: TrainOptions) -> Splits | None:
    """Those of the training that this one goes on from, so that what was held out there stays so."""
    if not options.resume and options.init is None:
        return None
    run = RunFolder(options.run) if options.init is None else run_at(options.init)
    return Splits.read(run.splits_file) if run.splits_file.is_file() else None
