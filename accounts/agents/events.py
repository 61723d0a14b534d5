"""The events of agents: in the public catalogue, but not recorded yet."""

from wallgent.events.catalogue import declare

NOT_BUILT_YET = (
    "agent.created",
    "agent.paused",
    "agent.resumed",
    "agent.key_rotated",
    "agent.deleted",
)


def declare_all() -> None:
    """Declare the events of agents. Called once, at start."""
    for name in NOT_BUILT_YET:
        declare(name)
