"""The ten tasks with segmentation_models.pytorch, on random weights. python smp_tasks.py

Needs: pip install segmentation-models-pytorch
"""

import numpy as np
import segmentation_models_pytorch as smp
import torch

random = np.random.default_rng(0)
images = torch.from_numpy(random.normal(size=(2, 3, 64, 64)).astype("float32"))
labels = torch.from_numpy(random.integers(0, 3, (2, 64, 64)))
labels[:, :8] = 255  # nobody knows
PLAIN = {"encoder_name": "resnet18", "encoder_weights": None}


def task_01_a_unet():
    model = smp.Unet(**PLAIN, in_channels=3, classes=3, activation="softmax2d").eval()
    return model(images).shape


def task_02_logits():
    model = smp.Unet(**PLAIN, in_channels=3, classes=3)
    return sum(p.numel() for p in model.parameters())


def task_03_attention():
    return smp.Unet(**PLAIN, classes=3, decoder_attention_type="scse").eval()(images).shape


def task_04_an_encoder_of_classification():
    model = smp.Unet("resnet50", encoder_weights=None, classes=3)
    return sum(p.numel() for p in model.parameters())


def task_05_a_step_with_dice_cross_entropy_and_unknown_pixels():
    model = smp.Unet(**PLAIN, classes=3)
    optimizer = torch.optim.Adam(model.parameters())
    dice = smp.losses.DiceLoss("multiclass", ignore_index=255)
    cross_entropy = torch.nn.CrossEntropyLoss(ignore_index=255)
    logits = model(images)
    loss = dice(logits, labels) + cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def task_06_a_block_of_your_own():
    class Block(torch.nn.Module):
        def __init__(self, before, after):
            super().__init__()
            self.conv = torch.nn.Conv2d(before, after, 5, padding=2)

        def forward(self, x):
            return self.conv(x)

    model = smp.Unet(**PLAIN, classes=3)
    for part in model.decoder.blocks:
        first, second = part.conv1[0], part.conv2[0]
        part.conv1 = Block(first.in_channels, first.out_channels)
        part.conv2 = Block(second.in_channels, second.out_channels)
    return model.eval()(images).shape  # of the decoder; the encoder is a network of its own


def task_07_a_volume():
    return "not there: networks have two axes of space"


def task_08_a_video_with_memory():
    return "not there: no network has memory"


def task_09_save_and_load():
    model = smp.Unet(**PLAIN, classes=3).eval()
    model.save_pretrained("network_smp")
    again = smp.from_pretrained("network_smp").eval()
    return (again(images) - model(images)).abs().max().item()


def task_10_dice_and_iou_of_each_class():
    counts = smp.metrics.get_stats(labels % 3, labels, mode="multiclass", num_classes=3, ignore_index=255)
    summed = [each.sum(dim=0) for each in counts]
    return smp.metrics.f1_score(*summed), smp.metrics.iou_score(*summed)


if __name__ == "__main__":
    for name, task in sorted(globals().items()):
        if name.startswith("task_"):
            print(name, task())
