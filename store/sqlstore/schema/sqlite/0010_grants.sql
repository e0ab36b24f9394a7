-- compatible: 1

-- The digest of what the refresh tokens of a grant have in common. Where it is
-- NULL, because an older program stored the row, spent ones stay with the grant.
ALTER TABLE auth_tokens ADD COLUMN refresh_grant BLOB;

CREATE INDEX auth_tokens_grant ON auth_tokens (refresh_grant) WHERE refresh_grant IS NOT NULL;
