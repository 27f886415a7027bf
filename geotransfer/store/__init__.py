"""The workspace: ledger, jobs, tables, blobs. Only here and in workflows is anything written."""
