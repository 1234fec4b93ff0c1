"""The ten tasks with KerasHub, on random weights. python keras_hub_tasks.py

It has no U-Net: DeepLabV3+ stands for it. Needs: pip install keras-hub
"""

import keras
import keras_hub
import numpy as np

random = np.random.default_rng(0)
images = random.normal(size=(2, 64, 64, 3)).astype("float32")
labels = random.integers(0, 3, (2, 64, 64)).astype("int32")
labels[:, :8] = 255  # nobody knows


def encoder(filters=(64, 128), blocks=(1, 1), kind="basic_block"):
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[7], stackwise_num_filters=list(filters),
        stackwise_num_blocks=list(blocks), stackwise_num_strides=[1] + [2] * (len(filters) - 1),
        block_type=kind,
    )  # fmt: skip


def network(activation=None, backbone=None):
    backbone = keras_hub.models.DeepLabV3Backbone(
        image_encoder=backbone or encoder(), low_level_feature_key="P2", spatial_pyramid_pooling_key="P3",
        upsampling_size=2, dilation_rates=[2, 4], projection_filters=8, spatial_pyramid_pooling_dropout=0.0,
    )  # fmt: skip
    return keras_hub.models.DeepLabV3ImageSegmenter(backbone, num_classes=3, activation=activation)


def task_01_a_unet():
    return network("softmax")(images).shape


def task_02_logits():
    return network().count_params()


def task_03_attention():
    backbone = keras_hub.models.MiTBackbone(
        layerwise_num_heads=[1, 2], layerwise_sr_ratios=[4, 2], max_drop_path_rate=0.1,
        layerwise_patch_sizes=[7, 3], layerwise_strides=[4, 2], layerwise_depths=[1, 1],
        num_layers=2, hidden_dims=[16, 32], image_shape=(64, 64, 3),
    )  # fmt: skip
    head = keras_hub.models.SegFormerBackbone(image_encoder=backbone, projection_filters=16)
    return keras_hub.models.SegFormerImageSegmenter(head, num_classes=3)(images).shape


def task_04_an_encoder_of_classification():
    deep = encoder((64, 128, 256, 512), (3, 4, 6, 3), "bottleneck_block")
    return network(backbone=deep).count_params()


def task_05_a_step_with_dice_cross_entropy_and_unknown_pixels():
    def loss(truth, logits):
        known = keras.ops.cast(truth != 255, "float32")
        one_hot = keras.ops.one_hot(keras.ops.where(truth != 255, truth, 0), 3) * known[..., None]
        chances = keras.ops.softmax(logits) * known[..., None]
        each = -keras.ops.sum(one_hot * keras.ops.log_softmax(logits), axis=-1)
        overlap = keras.ops.sum(one_hot * chances, axis=(0, 1, 2))
        total = keras.ops.sum(one_hot + chances, axis=(0, 1, 2))
        dice = 1 - keras.ops.mean(((2 * overlap + 1) / (total + 1))[1:])
        return keras.ops.sum(each) / keras.ops.maximum(keras.ops.sum(known), 1) + dice

    model = network()
    model.compile("adam", loss=loss, metrics=[])
    return model.train_on_batch(images, labels)


def task_06_a_block_of_your_own():
    return "not there: backbones take the name of a block"


def task_07_a_volume():
    return "not there: networks have two axes of space"


def task_08_a_video_with_memory():
    return "not there: no segmentation network has memory"


def task_09_save_and_load():
    model = network()
    model.save("network_hub.keras")
    return np.abs(keras.models.load_model("network_hub.keras")(images) - model(images)).max()


def task_10_dice_and_iou_of_each_class():
    truth, found = labels, labels % 3
    each = keras.metrics.IoU(3, [0, 1, 2], ignore_class=255, name="iou")
    iou = []
    for number in range(3):
        each = keras.metrics.IoU(3, [number], ignore_class=255)
        each.update_state(truth, found)
        iou.append(float(each.result()))
    return [2 * value / (1 + value) for value in iou], iou


if __name__ == "__main__":
    for name, task in sorted(globals().items()):
        if name.startswith("task_"):
            print(name, task())
