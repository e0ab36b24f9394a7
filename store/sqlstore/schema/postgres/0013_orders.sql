-- compatible: 1

-- Orders of the lists of users and applications. They come first: whoever holds these tables and
-- waits for the tokens ends this transaction (deadlock) before much of it is done.
CREATE INDEX IF NOT EXISTS auth_users_created ON auth_users (created_at, id_number, id);
CREATE INDEX IF NOT EXISTS auth_applications_name ON auth_applications (name, id);
CREATE INDEX IF NOT EXISTS auth_applications_created ON auth_applications (created_at, id);
CREATE INDEX IF NOT EXISTS auth_applications_modified ON auth_applications (modified_at, id);

-- A page that begins in the middle of an index reads what it shows. PostgreSQL finds such
-- a place by equal values of all columns before it, and the condition of a partial index is
-- none on a column: without revoked_at nothing stands between. The old indexes go in the next
-- step, in a transaction of its own: that needs a lock which excludes those who read, and who
-- has read a token and waits here to write it would never get out of its way.
CREATE INDEX IF NOT EXISTS auth_tokens_new_listed ON auth_tokens (user_id, id, seq, application_id, via_id) WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS auth_tokens_new_created ON auth_tokens (user_id, created_at, id) WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS auth_tokens_new_modified ON auth_tokens (user_id, modified_at, id) WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS auth_tokens_new_expiring ON auth_tokens (user_id, expires_at, id) WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS auth_tokens_new_issued ON auth_tokens (application_id, id, seq, user_id, via_id) WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS auth_tokens_new_every ON auth_tokens (id, seq, user_id, application_id, via_id) WHERE revoked_at IS NULL;
