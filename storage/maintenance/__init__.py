"""Looking after a store: what is in it, taking all of it out, pruning what is old, forgetting a visitor."""
