"""How consumers hear of published events quickly; the truth is the publisher's feed (`chassis/feed.py`).

A data service runs a sequencer and serves its feed::

    fast_path = fast_path_of(settings)  # Redis where the settings name one, else inside this process
    sequencer = Sequencer(database, "organization", fast_path)
    commands = Commands(database, ..., committed=sequencer.wake)
    services = [..., EventFeed(database).registration]
    loops.spawn("organization sequencer", sequencer.run)

A process in the application consumes::

    async def look_again(entry: Entry) -> None:
        event = event_of(entry)  # the publisher's message
        ...  # read the source's state, send an idempotent Ensure with request_id_of(entry, "ensure_roster")

    consumer = Consumer("time.roster", channels.to("organization"), fast_path, look_again, types={"muster...Event"})
    lifecycle.spawn("time.roster", consumer.run)
"""
