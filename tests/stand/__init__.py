"""A client's independent view of the running service: real processes, a real broker, a real database.

Nothing here reads the service's code or asks the service whether it did well. What must be true is worked out from the
topics' own records (`log`, `decoder`, `decisions`) and compared with the public columns of the tables (`tables`,
`recount`).
"""
