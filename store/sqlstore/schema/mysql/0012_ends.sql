-- compatible: 1

-- Nothing since step 2 looks for tokens by their end: purges do by purge_at. Each token that is
-- stored, rotated or revoked wrote into the index.
ALTER TABLE auth_tokens DROP KEY auth_tokens_ends;
