"""The event types of agents: in the public catalogue, but not recorded yet (contract 4.2)."""

from wallgent.events.catalogue import announce

announce(
    *("agent.created", "agent.paused", "agent.resumed", "agent.key_rotated", "agent.deleted"),
    permission="wallets:read",
)
