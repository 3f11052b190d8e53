"""Default and type subscriptions, prefixes, and topics by key."""

import asyncio
from dataclasses import dataclass

from autogen_core import (
    DefaultSubscription,
    DefaultTopicId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    TopicId,
    TypePrefixSubscription,
    TypeSubscription,
    default_subscription,
    message_handler,
    type_subscription,
)

seen: list[str] = []


@dataclass
class News:
    text: str


@default_subscription
class Default(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("default")

    @message_handler
    async def on_news(self, message: News, ctx: MessageContext) -> None:
        seen.append(f"{self.id} got {message.text} of {ctx.topic_id} from {ctx.sender}")


@type_subscription(topic_type="sports")
@type_subscription(topic_type="weather")
class Reader(Default):
    pass


class Publisher(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("publisher")

    @message_handler
    async def on_news(self, message: News, ctx: MessageContext) -> None:
        await self.publish_message(News(f"{message.text} again"), DefaultTopicId())
        await self.publish_message(News(f"{message.text} too"), topic_id=TopicId("sports", self.id.key))


async def main() -> None:
    runtime = SingleThreadedAgentRuntime()
    await Default.register(runtime, "default_agent", Default)
    await Reader.register(runtime, "reader", lambda: Reader())
    await Reader.register(runtime, "reader2", lambda: Reader(), skip_class_subscriptions=True)
    await Publisher.register(runtime, "publisher", Publisher)
    await runtime.add_subscription(TypeSubscription("input", "publisher"))
    await runtime.add_subscription(TypePrefixSubscription("spo", "reader2"))
    removed = TypeSubscription(topic_type="default", agent_type="reader2")
    await runtime.add_subscription(removed)
    await runtime.remove_subscription(removed.id)
    await runtime.add_subscription(DefaultSubscription(agent_type="reader2"))
    runtime.start()
    await runtime.publish_message(News("start"), TopicId("input", "k1"))
    await runtime.publish_message(News("rain"), topic_id=TopicId("weather", "k2"))
    await runtime.publish_message(News("direct"), TopicId("reader:", "k3"))
    await runtime.publish_message(News("default"), DefaultTopicId())
    await runtime.publish_message(News("of nobody"), TopicId("nobody", "x"))
    await runtime.stop_when_idle()
    print("\n".join(sorted(seen)))
    print(TopicId("a", "b") == TopicId.from_str("a/b"), str(DefaultTopicId()), TypeSubscription("a", "b") == TypeSubscription("a", "b"))


asyncio.run(main())
