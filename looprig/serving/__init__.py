"""HTTP without a word about what is served: a server in a thread, its responses, their pace, and a page of figures."""
