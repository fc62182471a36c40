"""A stand-in for the MangaDex API: an invented catalogue, the real one's rules, orders to fail.

As a program: `python -m mangadex_sim --port 8099 --titles 500 --recent-chapters 40`; see --help.
In a test:

    with Simulator(titles=200, rate=5, latency_s=0.2) as sim:
        new = sim.add_title(title="Late Snow", contentRating="safe")
        sim.publish(new, number="1", language="en")
        sim.fail("429_epoch", count=2, wait_s=1)
        ...
        assert sim.stats()["max_in_a_second"] <= 5

`SimControl(url)` has the same methods for a simulator in another process; both are listed in
`mangadex_sim.commands.Commands`. Every method is one order of the control endpoint:

POST /_sim/PATH with a JSON object → 200 and JSON, or 400/404 and {"error": …}. Orders are neither
counted nor limited nor delayed, and are answered while the API is down (but not while refused).

  titles/add          {"count": 3, "attributes": {…}} or {"titles": [{…}, …]} → {"ids", "indexes"}
  titles/edit         {"manga": M, "attributes": {…}}: version and updatedAt move
  titles/remove       {"manga": M or [M, …]}; titles/restore likewise
  titles/ids          {"first": 0, "count": 100} → {"ids", "titles", "removed"}
  covers/set          {"manga": M or [M, …], "kind": "png", "width", "height"} → {"kinds"}
  chapters/publish    {"manga": M, …} or {"chapters": [{"manga": M, …}, …]} → {"ids"}
  chapters/edit       {"chapter": ID, …}: version and updatedAt move
  chapters/remove     {"chapter": ID or [ID, …]}
  chapters/unavailable {"chapter": ID, "value": true}
  chapters/list       {"manga": M} → {"chapters": [{"id", "number", "readableAt", …}]}
  chapters/spread     {"count": N, "hours": 48}: next chapters of many titles, evenly in time
  accounts/add        {"username", "password", "client_id", "client_secret", "approved": true,
                      "token_s": 900, "statuses": {M: "reading"}, "follows": [M]}, M being ids
  accounts/end-tokens {}: no token is good any more
  lists/add           {"name", "titles": [M], "public": true, "owner": null} → {"id"}
  slow                {"ms": 200}: from a request's arrival to its answer
  fail                {"mode": NAME, …} → {"modes": all names, "waiting": how many are in force}
  heal                {}: drops all ordered failures
  down                {"seconds": 5, "refuse": false}: closes connections unanswered, or refuses
                      them (then only `seconds`, or up() in the same process, brings it back)
  up                  {}
  clock               {"shift_s": 3600} or {"by_s": 60} → {"shift_s", "now"}
  settings            {"rate": 5, "window_s", "retry_header", "ban_after", "ban_within_s", "ban_s",
                      "latency_s"} → all settings
  stats               {} (GET too) → total, by_path, by_status, max_in_a_second, max_in_flight,
                      in_flight, user_agents, arrivals (monotonic seconds), queries
  reset               {}: counts, failures, slowness, outage, ban and window; the catalogue stays

M is a title's id or its index. Attributes of a title: those of the API (title and description may
be plain text, which is then English), authors and artists (names), tags (names), followedCount,
cover (true: another file), absent (names of attributes to leave out). Instants are ISO text in UTC
or epoch seconds. Keys of a chapter: number, volume, title, language, groups (names or ids),
uploader (name, id or null), createdAt, updatedAt, publishAt, readableAt, in_s (publishes so many
seconds from now), externalUrl (then publishAt is in 2037), pages, unavailable, version. Without a
number a published chapter is the title's next one; null is a chapter without a number.

Failures (`fail`) happen once by default: count (null: until healed), skip (requests to let pass
first), paths (patterns such as "/manga/*/feed"), probability with seed, active_s. Modes:

  429_epoch 429_epoch_past 429_retry_after 429_bare (wait_s)  403_json 403_html_ban
  400_json 400_agent 400_html_overload  404_json  500 502_html 503 504_html  302 204
  html_200 empty_body empty_array not_json
  cut close reset hang (seconds) huge (bytes) drip (seconds) slow (seconds)
  title_X or chapter_X for one item of a list (position) or a single entity, X being without_id
  bad_id number_where_text 1mb nul lone_surrogate bad_date without_attributes
  without_relationships null not_object; same_title_twice same_chapter_twice
  data_null data_absent total_absent

The catalogue's history is fixed: another start with the same titles and seed answers the same, and
orders are forgotten. `traits` lists which titles have which awkward case.
"""

from mangadex_sim.settings import Settings
from mangadex_sim.sim_control import SimControl
from mangadex_sim.simulator import Simulator

__all__ = ["Settings", "SimControl", "Simulator"]
