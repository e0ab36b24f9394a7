-- compatible: 1

-- Pages of tokens are read from indexes that hold the live ones in order, with what
-- decides whether a cut-off ended them. revoked_at stands before the order: MySQL,
-- which has no partial indexes, finds the live ones by it.

-- A page of a user, and how many there are. It replaces auth_tokens_user.
CREATE INDEX auth_tokens_listed ON auth_tokens (user_id, revoked_at, id, seq, application_id, via_id) WHERE revoked_at IS NULL;

-- The same in other orders.
CREATE INDEX auth_tokens_created ON auth_tokens (user_id, revoked_at, created_at, id) WHERE revoked_at IS NULL;
CREATE INDEX auth_tokens_modified ON auth_tokens (user_id, revoked_at, modified_at, id) WHERE revoked_at IS NULL;
CREATE INDEX auth_tokens_expiring ON auth_tokens (user_id, revoked_at, expires_at, id) WHERE revoked_at IS NULL;

-- A page of an application, of an organization, and the summary of an application.
-- It replaces auth_tokens_application.
CREATE INDEX auth_tokens_issued ON auth_tokens (application_id, revoked_at, id, seq, user_id, via_id) WHERE revoked_at IS NULL;

-- A page of everything.
CREATE INDEX auth_tokens_every ON auth_tokens (revoked_at, id, seq, user_id, application_id, via_id) WHERE revoked_at IS NULL;

DROP INDEX auth_tokens_user;
DROP INDEX auth_tokens_application;
