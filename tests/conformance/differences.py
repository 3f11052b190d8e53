"""Where the two hosts differ, and why it cannot be otherwise: the README's table quotes these reasons."""

ARRIVAL = "calls that are sent at once travel over connections of their own: daprd may get them in another order"
GO_VALUES = "daprd reads state and events into Go's own types: integers over 2^53, floats and lone surrogates change"
KEYS = "`/` and `?` in the name of a state, and `||` in an actor's id, are separators to daprd"
POLICY = "daprd 1.18 does not read a reminder's failure policy over HTTP: its default holds, three more attempts"
TIME_TO_LIVE = "daprd 1.18 counts a reminder's or timer's time-to-live from its first due time on"
TIMES_OF_TICKS = "daprd 1.18 sends a reminder's tick without its due time and period"
MISSED_TICKS = "every tick that was missed while nothing ran comes, one after the other"
DEPTH = "past the depth of a reentrant chain daprd 1.18 fails the call, and leaves the actor locked"
TTL_KEPT = "Redis keeps a value's time-to-live when the value is set again without one"
UNKNOWN_TYPE = "a type that no application hosts now may be hosted later: daprd's error is one that may pass"

DIFFERENCES: dict[str, str] = {
    "test_two_hundred_calls_take_their_turns_in_order_of_arrival": ARRIVAL,
    "test_one_users_messages_are_answered_in_order_of_arrival": ARRIVAL,
    "test_any_json_comes_back_as_it_was_set": GO_VALUES,
    "test_a_value_comes_back_as_it_was_set[9007199254740993]": GO_VALUES,
    "test_a_value_comes_back_as_it_was_set[10000000000000000000]": GO_VALUES,
    "test_a_value_comes_back_as_it_was_set[-1000000000000000000]": GO_VALUES,
    r"test_text_comes_back_as_it_was_set['a lone \\ud800 surrogate \\udc00']": GO_VALUES,
    "test_an_events_data_is_kept_to_the_last_digit": GO_VALUES,
    "test_names_are_kept_apart_as_they_are_written": KEYS,
    "test_actors_do_not_see_each_other": KEYS,
    "test_a_failed_tick_is_tried_again_as_its_policy_says": POLICY,
    "test_a_tick_that_was_given_up_does_not_end_the_reminder": POLICY,
    "test_a_time_to_live_is_read_as_the_api_says": TIME_TO_LIVE,
    "test_a_reminder_ends_with_its_time_to_live": TIME_TO_LIVE,
    "test_a_reminder_whose_time_to_live_passed_while_nothing_ran_does_not_fire": TIME_TO_LIVE,
    "test_a_reminder_comes_with_its_times": TIMES_OF_TICKS,
    "test_a_late_reminder_fires_once": MISSED_TICKS,
    "test_a_timer_ends_with_its_time_to_live": TIME_TO_LIVE,
    "test_a_reentrant_chain_has_a_limited_depth": DEPTH,
    "test_setting_a_value_again_sets_its_time_to_live_again": TTL_KEPT,
    "test_an_unknown_actor_type_is_an_error_that_names_it": UNKNOWN_TYPE,
}
"""Test → what real Dapr does instead. It has to fail there, or it has no business in the table; but for the order of
arrival, which may hold by chance."""
