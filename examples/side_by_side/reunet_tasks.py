"""Ten tasks of a researcher with reunet, on random weights. python reunet_tasks.py"""

import keras
import numpy as np

import reunet

random = np.random.default_rng(0)
images = random.normal(size=(2, 64, 64, 3)).astype("float32")
labels = random.integers(0, 3, (2, 64, 64)).astype("int32")
labels[:, :8] = 255  # nobody knows


def task_01_a_unet():
    return reunet.unet_model((None, None, 3), 3, filters=(8, 16, 32))(images).shape


def task_02_logits():
    return reunet.unet_model((None, None, 3), 3, filters=(8, 16, 32), output="logits").count_params()


def task_03_attention():
    return reunet.unet_model((None, None, 3), 3, "attention_unet", filters=(8, 16, 32))(images).shape


def task_04_an_encoder_of_classification():
    return reunet.unet_model(
        (None, None, 3), 3, encoder="resnet50", filters=(64, 256, 512, 1024)
    ).count_params()


def task_05_a_step_with_dice_cross_entropy_and_unknown_pixels():
    model = reunet.unet_model((None, None, 3), 3, filters=(8, 16, 32), output="logits")
    model.compile("adam", loss=reunet.losses.SegmentationLoss(reunet.losses.LossSpec(), (1, 2)))
    return model.train_on_batch(images, labels)


def task_06_a_block_of_your_own():
    def block(x, filters, scope):
        return keras.layers.Conv2D(filters, 5, padding="same", name=scope.name("conv"))(x)

    heads = [{"channels": 3}]
    config = reunet.networks.configure("unet", in_channels=3, filters=(8, 16, 32), heads=heads)
    return reunet.networks.build(config, block=block)(images)["semantic"].shape


def task_07_a_volume():
    model = reunet.unet_model((None, None, None, 1), 3, "unet3d", filters=(4, 8, 16))
    return model(random.normal(size=(1, 16, 16, 16, 1)).astype("float32")).shape


def task_08_a_video_with_memory():
    model = reunet.unet_model((None, None, None, 3), 3, "conv_gru_unet", filters=(8, 16, 32))
    return model(images[None]).shape


def task_09_save_and_load():
    model = reunet.unet_model((None, None, 3), 3, "cnn_rnn_unet", filters=(8, 16, 32))
    model.save("network.keras")
    return np.abs(keras.models.load_model("network.keras")(images) - model(images)).max()


def task_10_dice_and_iou_of_each_class():
    counts = reunet.metrics.confusion(labels.astype("uint8"), labels.astype("uint8") % 3, 3)
    return reunet.metrics.dice(counts), reunet.metrics.iou(counts)


if __name__ == "__main__":
    for name, task in sorted(globals().items()):
        if name.startswith("task_"):
            print(name, task())
