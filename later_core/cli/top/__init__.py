"""``later top``: a deployment, live, in a terminal. Only ``command`` is loaded without Textual."""
