-- compatible: 1

-- Where a session was seen last, and which browser logged in. They are NULL where
-- an older program stored the session.
ALTER TABLE auth_sessions ADD COLUMN address TEXT;
ALTER TABLE auth_sessions ADD COLUMN agent TEXT;

-- For lists of personal tokens that are about to expire.
CREATE INDEX auth_tokens_expires ON auth_tokens (application_id, expires_at, id) WHERE application_id = 0 AND revoked_at IS NULL;
