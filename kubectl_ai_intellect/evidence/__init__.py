"""What may be shown: facts, digested logs, redaction."""
