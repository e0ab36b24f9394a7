-- compatible: 1

-- Where a session was seen last, and which browser logged in. They are NULL where
-- an older program stored the session.
ALTER TABLE auth_sessions
	ADD COLUMN address VARBINARY(64),
	ADD COLUMN agent VARBINARY(255);

-- For lists of personal tokens that are about to expire.
ALTER TABLE auth_tokens ADD KEY auth_tokens_expires (application_id, expires_at, id);
