"""Azure AI Search: the custom skill's messages, and the definitions that make an index of pictures searchable by label.

skill.py        the messages of /skill: records to images, detections to outputs (pure)
definitions.py  data source, index, skillset and indexer as JSON (pure)
client.py       the service's REST interface over the standard library's HTTP
uris.py         addresses that may carry keys (pure)
query.py        find documents by label, and read an indexer's status (pure)
setup.py        make the service equal to the definitions; what was created, updated or unchanged
cli.py          `cva search`
"""
