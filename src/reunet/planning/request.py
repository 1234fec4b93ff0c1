"""What the user asks of a plan."""

from dataclasses import KW_ONLY

from reunet.backend import Backend
from reunet.contracts.network import NetworkConfig
from reunet.contracts.options.fields import record
from reunet.contracts.options.records import Wishes
from reunet.machine import memory_bytes


@record
class PlanRequest(Wishes):
    """What the user asked for, on a backend. network: that of the run to start from."""

    _: KW_ONLY
    backend: Backend = "tensorflow"
    network: NetworkConfig | None = None

    @classmethod
    def of(cls, wishes: Wishes, backend: Backend, network: NetworkConfig | None = None) -> "PlanRequest":
        """Wishes, with the backend that was chosen for them; of a loss of one's own a plan knows nothing."""
        asked = {name: getattr(wishes, name) for name in Wishes.OPTIONS}
        if not isinstance(asked["loss"], str):  # a function of the caller, which no plan can hold
            asked["loss"] = "auto"
        return cls(**asked | {"backend": backend, "network": network})

    @property
    def memory(self) -> int:
        """Bytes a training may need: half of what there is when nobody says."""
        return self.max_memory or (memory_bytes() or 8 * 2**30) // 2
