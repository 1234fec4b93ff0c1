"""Every network of the family: shapes, weights, learning, golden outputs, streaming."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.contracts.network import NetworkConfig
from reunet.errors import PlanError
from reunet.networks.presets import PRESETS

from .family import CASES, FRAMES, REPRESENTATIVES, config_of, give_weights, image_for, numpy_of

pytestmark = pytest.mark.usefixtures("backend")
GOLDEN = Path(__file__).with_name("golden")


def some_now(now: Collection[str]) -> list[Any]:
    """All cases; those not in `now` are left to the long tests."""
    return [case if case in now else pytest.param(case, marks=pytest.mark.slow) for case in CASES]


def on_every_backend(chosen: Collection[str], cases: Collection[str] = tuple(CASES)) -> list[Any]:
    """The cases, all by default; those in `chosen` run again on the other backends."""
    return [pytest.param(case, marks=pytest.mark.keras) if case in chosen else case for case in cases]


def with_gain(config: NetworkConfig, gain: float) -> NetworkConfig:
    """The same, with gains that begin at this number where the recurrences are in residual form."""
    if config.recurrence.gain is None:
        return config
    return config.model_copy(update={"recurrence": config.recurrence.model_copy(update={"gain": gain})})


@pytest.mark.parametrize("case", some_now(PRESETS))
def test_any_fitting_size_gives_logits_of_that_size(case: str) -> None:
    from reunet.contracts.sizes import margin
    from reunet.networks import build_network

    config = config_of(case)
    model = build_network(config)
    for small in (True, False):
        image = image_for(config, small=small)
        before, space = np.split(image.shape[:-1], [-config.spatial_dims])
        logits = model(image)["semantic"]
        assert tuple(logits.shape) == (*before, *(space - 2 * np.array(margin(config))), 3)


@pytest.mark.parametrize("case", on_every_backend(REPRESENTATIVES))
def test_golden_outputs_layer_by_layer(case: str, request: pytest.FixtureRequest) -> None:
    """A published network cannot change silently, and is the same on every backend."""
    import keras

    from reunet.networks import build_network

    config = config_of(case)
    model = build_network(config)
    give_weights(model)
    image = image_for(config)
    found = {}
    for layer in model.layers:
        if len(layer._inbound_nodes) == 1 and layer.weights and not isinstance(layer.output, list | tuple):
            found[layer.name] = layer.output
    values = {name: numpy_of(y) for name, y in keras.Model(model.input, found | model.output)(image).items()}
    moments = {name: [float(y.mean()), float(y.std())] for name, y in values.items()}
    file = GOLDEN / f"{case.replace(' ', '_')}.json"
    if request.config.getoption("--write-golden"):
        rows = [f'  "{name}": [{a:.6g}, {b:.6g}]' for name, (a, b) in moments.items()]
        file.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    golden = json.loads(file.read_text(encoding="utf-8"))
    assert sorted(golden) == sorted(moments)
    for name, expected in golden.items():
        np.testing.assert_allclose(moments[name], expected, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("case", some_now(PRESETS))
def test_a_network_is_its_configuration_and_its_weights(case: str, tmp_path: Path) -> None:
    from reunet.networks import build_network

    config = config_of(case)
    first = build_network(config, seed=1)
    first.save_weights(tmp_path / "a.weights.h5")
    again = NetworkConfig.parse(json.loads(config.model_dump_json()), where="test")
    second = build_network(again, seed=2)
    second.load_weights(tmp_path / "a.weights.h5")
    image = image_for(config)
    for name, logits in first(image).items():
        np.testing.assert_array_equal(numpy_of(second(image)[name]), numpy_of(logits))


@pytest.mark.parametrize("case", some_now(REPRESENTATIVES))
def test_one_step_of_training_moves_every_weight(case: str) -> None:
    import keras

    from reunet.contracts.plan import LossSpec
    from reunet.contracts.sizes import output_strides
    from reunet.losses import SegmentationLoss
    from reunet.networks import build_network

    config = with_gain(config_of(case), 0.1)  # at zero only the gains would move
    model = build_network(config)
    image = image_for(config)
    strides = dict(zip(model.output, output_strides(config), strict=True))
    model.compile(
        keras.optimizers.SGD(0.1),
        {name: SegmentationLoss(LossSpec(), (1, 2), stride) for name, stride in strides.items()},
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    shape = tuple(model.compute_output_shape(image.shape)["semantic"][:-1])
    labels = np.random.default_rng(1).integers(0, 3, shape).astype("int32")
    before = {v.path: numpy_of(v.value).copy() for v in model.trainable_variables}
    logs = model.train_on_batch(image, dict.fromkeys(strides, labels), return_dict=True)
    assert np.isfinite(logs["loss"])
    still = [v.path for v in model.trainable_variables if (numpy_of(v.value) == before[v.path]).all()]
    # A constant added before a normalisation per image is subtracted by it.
    assert not [path for path in still if not path.endswith(("conv/bias", "up/bias", "recurrent_kernel"))]
    assert not [path for path in still if path.endswith("recurrent_kernel") and "slices" not in path]


RESIDUAL = (
    "cnn_rnn_unet", "bcdu_net residual", "conv_lstm_unet residual", "conv_gru_unet", "slice_gru_unet",
    "leak_unet",
)  # fmt: skip


@pytest.mark.parametrize("case", on_every_backend(RESIDUAL[-1:], RESIDUAL))
def test_with_gains_of_zero_a_network_is_its_control(case: str) -> None:
    """Bit for bit, with the same weights; and with other gains it is not."""
    from reunet.networks import build_network

    config = with_gain(config_of(case), 0.0)
    without = {**config.model_dump(), **(PRESETS[config.preset].control or {})}
    network, control = build_network(config), build_network(NetworkConfig.parse(without, where="test"))
    for model in (network, control):
        give_weights(model)
    gains = [variable for variable in network.weights if variable.path.endswith("/gain")]
    image = image_for(config)
    expected, recurring = numpy_of(control(image)["semantic"]), numpy_of(network(image)["semantic"])
    assert np.abs(recurring - expected).max() > 1e-3
    for gain in gains:
        gain.assign(np.zeros(gain.shape))
    np.testing.assert_array_equal(numpy_of(network(image)["semantic"]), expected)


def test_recurrences_stand_at_the_coarsest_levels() -> None:
    from reunet.networks import build_network

    for preset, levels, places in (
        ("conv_gru_unet", 1, {"bottleneck"}),
        ("conv_gru_unet", 2, {"bottleneck", "dec1"}),
        ("conv_gru_unet", None, {"bottleneck", "dec1", "dec0"}),
        ("conv_lstm_unet", 2, {"enc2", "enc1"}),
        ("bcdu_net", 2, {"dec1"}),
    ):
        config = config_of(preset)
        chosen = config.recurrence.model_copy(update={"levels": levels, "gain": 0.0})
        network = build_network(config.model_copy(update={"recurrence": chosen}))
        assert {layer.name.split("_")[0] for layer in network.layers if "_memory_" in layer.name} == places


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(name, marks=pytest.mark.keras) if name == "conv_gru_unet" else name
        for name in CASES
        if config_of(name).causal
    ],
)
def test_streaming_gives_what_the_sequence_gives(case: str) -> None:
    """From one configuration: the sequence at once, in pieces with carried states, and frame by frame."""
    import keras

    from reunet.networks import build_network, build_step_network, state_names

    config = config_of(case)
    whole, pieces = build_network(config), build_network(config, carry=True)
    clip = keras.ops.convert_to_tensor(image_for(config))
    give_weights(whole)
    size = clip.shape[2:-1]
    step = build_step_network(config, size=size)
    for model in (pieces, step):
        model.set_weights(whole.get_weights())
    expected = numpy_of(whole(clip)["semantic"])

    zeros = {
        name: keras.ops.zeros((len(clip), *step.input[name].shape[1:]), "float32")
        for name in state_names(step)
    }
    assert zeros
    states, found = dict(zeros), []
    for t in range(FRAMES):
        outputs = step({"image": clip[:, t], **states})
        found.append(numpy_of(outputs["semantic"]))
        states = {name: outputs[name] for name in states}
    np.testing.assert_allclose(np.stack(found, 1), expected, atol=1e-5)

    states, found = dict(zeros), []
    for part in (clip[:, :1], clip[:, 1:]):
        outputs = pieces({"image": part, **states})
        found.append(numpy_of(outputs["semantic"]))
        states = {name: outputs[name] for name in states}
    np.testing.assert_allclose(np.concatenate(found, 1), expected, atol=1e-5)


@pytest.mark.parametrize("case", [name for name in CASES if config_of(name).causal])
def test_a_causal_network_does_not_see_the_future_and_remembers_the_past(case: str) -> None:
    from reunet.networks import build_network

    config = with_gain(config_of(case), 0.5)
    model = build_network(config)
    clip = image_for(config, batch=1)
    other = clip.copy()
    other[:, 2] += 1.0
    one, two = numpy_of(model(clip)["semantic"]), numpy_of(model(other)["semantic"])
    np.testing.assert_allclose(one[:, :2], two[:, :2], atol=1e-6)
    assert np.abs(one[:, 3] - two[:, 3]).max() > 1e-5


def test_a_sweep_carries_context_across_the_whole_map() -> None:
    """One changed corner changes the logits of the opposite corner; in the control it does not."""
    from reunet.networks import build_network

    for bottleneck, reaches in (("sweep", True), ("conv", False)):
        config = config_of("cnn_rnn_unet published").model_copy(update={"bottleneck": bottleneck})
        model = build_network(config)
        image = np.random.default_rng(0).normal(size=(1, 96, 96, 2)).astype("float32")
        other = image.copy()
        other[:, :4, :4] += 3.0
        one, two = (numpy_of(model(x, training=False)["semantic"])[:, -1, -1] for x in (image, other))
        assert (np.abs(one - two).max() > 1e-8) == reaches, bottleneck


@pytest.mark.keras
@pytest.mark.parametrize("merge", ["sum", "concat", "forward"])
def test_recurrent_skip_is_two_convolutional_lstms(merge: str) -> None:
    """BCDU-Net's fusion by Keras' own ConvLSTM: over (skip, up), and over (up, skip)."""
    import keras
    from keras import layers

    from reunet.networks.scope import Scope
    from reunet.networks.skips import recurrent

    config = config_of("bcdu_net")
    settings = config.recurrence.model_copy(update={"merge": merge})
    scope = Scope(config.model_copy(update={"recurrence": settings}), 0, path="skip")
    skip, up = keras.Input((6, 7, 8)), keras.Input((6, 7, 8))
    ours = keras.Model([skip, up], recurrent([skip], up, 8, scope))
    give_weights(ours)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 2, 6, 7, 8)).astype("float32")
    ends = []
    for way, sequence in (("forward", (a, b)), ("backward", (b, a))):
        if way == "backward" and merge == "forward":
            continue
        published = layers.ConvLSTM2D(4, 3, padding="same", recurrent_activation="sigmoid")
        published.build((None, 2, 6, 7, 8))
        published.set_weights(ours.get_layer(f"skip_{way}_lstm").get_weights())
        ends.append(numpy_of(published(np.stack(sequence, 1))))
    expected = np.concatenate(ends, -1) if merge == "concat" else sum(ends)
    np.testing.assert_allclose(numpy_of(ours([a, b])), expected, atol=1e-5)


def test_names_that_a_slot_does_not_have_are_refused_with_a_suggestion() -> None:
    from reunet.networks import build_network, configure

    tiny = {"in_channels": 1, "heads": ({"channels": 2},), "filters": (4, 8)}
    wrong = (
        ("r2_unet", {}, "r2unet"),
        ("unet", {"skip": "atention"}, "attention"),
        ("unet", {"encoder": "vgg-16"}, "vgg16"),
        ("unet", {"decoder_block": "residul"}, "residual"),
        ("cnn_rnn_unet", {"recurrence": {"cell": "mingru"}}, "min_gru"),
    )
    for preset, fields, suggestion in wrong:
        with pytest.raises(PlanError, match=suggestion):
            build_network(configure(preset, **tiny, **fields))
    for preset, fields, said in (
        ("unet", {"bottleneck": "recurrence"}, "time 'frames'"),
        ("mobile_unet", {"spatial_dims": 3}, "two axes"),
        ("unet", {"encoder": "vgg16", "spatial_dims": 3}, "spatial_dims must be 2"),
    ):
        with pytest.raises(PlanError, match=said):
            build_network(configure(preset, **tiny, **fields))


def test_variants_name_what_no_preset_has() -> None:
    """Every name of every slot is in some case, so nothing of the family goes untested."""
    from reunet.networks.pretrained import APPLICATIONS
    from reunet.networks.unet import SLOTS

    for slot, entries in SLOTS.items():
        used = {getattr(config_of(case), slot) for case in CASES}
        if slot == "block":
            used |= {config_of(case).decoder_block for case in CASES}
        assert set(entries) - used - set(APPLICATIONS) == set(), slot


def test_the_textbook_signature_for_every_preset() -> None:
    from reunet.networks import unet_model

    for preset, known in PRESETS.items():
        time = () if known.fields.get("time", "none") == "none" else (None,)
        space = (16,) * known.fields.get("spatial_dims", 2)
        model = unet_model((*time, *space, 3), 5, preset, filters=(4, 8, 16))
        assert model.output_shape == (None, *time, *space, 5), preset
    with pytest.raises(PlanError, match="a sequence"):
        unet_model((16, 16, 3), 2, "conv_gru_unet")
    with pytest.raises(PlanError, match="such as 4"):
        unet_model((3, 16, 16, 1), 2, "unet_2d_t", filters=(4, 8), strides=((4, 2, 2),))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_images_of_any_size_come_back_at_their_size(case: str) -> None:
    """1 to 67 pixels a side, through the padding and cropping that predictions go through."""
    from reunet.contracts.sizes import margin, valid_size
    from reunet.inference.tiling import Tiling, predict_tiled
    from reunet.networks import build_network

    config = config_of(case)
    model = build_network(config)
    lost = margin(config)
    frames = () if config.time == "none" else (FRAMES,)

    def predict(tiles: np.ndarray) -> dict[str, np.ndarray]:
        clips = np.broadcast_to(tiles[:, None], (len(tiles), *frames, *tiles.shape[1:])) if frames else tiles
        logits = numpy_of(model(clips)["semantic"])
        return {"semantic": logits[:, 0] if frames else logits}

    rng = np.random.default_rng(zlib.crc32(case.encode()))
    largest = 67 if config.rank == 2 else 30
    for sides in [(1,) * config.spatial_dims, *rng.integers(1, largest + 1, (6, config.spatial_dims))]:
        size = tuple(int(side) for side in sides)
        image = rng.normal(size=(*size, config.in_channels)).astype("float32")
        tile = valid_size(config, tuple(side + 2 * edge for side, edge in zip(size, lost, strict=True)))
        found = predict_tiled(predict, image, Tiling(tile, 0.25, lost))["semantic"]
        assert found.shape == (*size, 3)
        assert np.isfinite(found).all()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_mixed_precision_gives_nearly_the_same_and_float32_logits(case: str) -> None:
    import keras

    from reunet.networks import build_network

    config = config_of(case)
    exact = build_network(config)
    give_weights(exact)
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        mixed = build_network(config)
    finally:
        keras.config.set_dtype_policy(policy)
    mixed.set_weights(exact.get_weights())
    image = image_for(config)
    one, other = exact(image)["semantic"], mixed(image)["semantic"]
    assert keras.backend.standardize_dtype(other.dtype) == "float32"
    spread = float(numpy_of(one).std())
    assert np.abs(numpy_of(one) - numpy_of(other)).mean() < 0.1 * spread
