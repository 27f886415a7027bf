"""Model versions, lineage, gates, promote, rollback, history."""
