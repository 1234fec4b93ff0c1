"""What the user asks of a plan."""

from dataclasses import KW_ONLY

from reunet.backend import Backend
from reunet.contracts.network import NetworkConfig
from reunet.contracts.options.fields import record
from reunet.contracts.options.records import Wishes
from reunet.devices import Device, memory_of

SHARE = {"cpu": 0.5, "gpu": 0.7}
"""Of the memory of a device, what a training may need when nobody says; JAX takes 0.75 of a GPU's at once."""


@record
class PlanRequest(Wishes):
    """What the user asked for, on a backend and a device.

    network: that of the run to start from. pace: how many times as fast as the table of `speed` they train.
    """

    _: KW_ONLY
    backend: Backend = "tensorflow"
    device: Device = "cpu"
    network: NetworkConfig | None = None
    pace: float = 1.0

    @classmethod
    def of(
        cls, wishes: Wishes, backend: Backend, device: Device, network: NetworkConfig | None = None
    ) -> "PlanRequest":
        """Wishes, with what was chosen for them; of a loss of one's own a plan knows nothing."""
        asked = {name: getattr(wishes, name) for name in Wishes.OPTIONS}
        if not isinstance(asked["loss"], str):  # a function of the caller, which no plan can hold
            asked["loss"] = "auto"
        return cls(**asked | {"backend": backend, "device": device, "network": network})

    @property
    def memory(self) -> int:
        """Bytes a training may need: a share of what the device has when nobody says."""
        return self.max_memory or int((memory_of(self.device) or 8 * 2**30) * SHARE[self.device])
