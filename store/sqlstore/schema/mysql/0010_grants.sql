-- compatible: 1

-- The digest of what the refresh tokens of a grant have in common. Where it is
-- NULL, because an older program stored the row, spent ones stay with the grant.
ALTER TABLE auth_tokens
	ADD COLUMN refresh_grant BINARY(32),
	ADD KEY auth_tokens_grant (refresh_grant);
