"""OpenAPI: from the description of a service to a model and an adapter.

One module for each step, in this order: `description` reads a document and refuses what it can't trust, `operation`
lists what can be asked, `link` finds out which values are refs, `shape` turns schemas into types and generators,
`code` writes Python, and `scaffold` puts files into a folder. `contract` is what the written code is made of.
"""
