"""The agents that join the conversation's broadcast. Each is a class, and a line here."""

from collections.abc import Callable
from functools import partial

from multi_actor.agents.conversation_log import ConversationLog
from multi_actor.agents.sentiment import SentimentAgent
from multi_actor.agents.turn_log import TurnLog
from multi_actor.messaging import AgentRuntime, RoutedAgent


def agents(turn_log: TurnLog) -> dict[type[RoutedAgent], Callable[[], RoutedAgent]]:
    """Return each agent's class with what makes one; its subscription says which messages it gets."""
    return {
        SentimentAgent: SentimentAgent,
        ConversationLog: partial(ConversationLog, turn_log),
    }


async def register_agents(runtime: AgentRuntime, turn_log: TurnLog) -> None:
    """Register each agent under its class's name."""
    for agent, factory in agents(turn_log).items():
        # Without the topic of its own that each agent type has in this model: nobody here publishes on those.
        await agent.register(runtime, agent.__name__, factory, skip_direct_message_subscription=True)
