-- compatible: 1

-- Pages of tokens are read from indexes that hold the live ones in order, with what
-- decides whether a cut-off ended them. revoked_at stands before the order: MySQL,
-- which has no partial indexes, finds the live ones by it.

-- In this order: a page of a user, and how many there are, the same in three other
-- orders, a page of an application, of an organization, or the summary of an
-- application, and a page of everything.
ALTER TABLE auth_tokens
	ADD KEY auth_tokens_listed (user_id, revoked_at, id, seq, application_id, via_id),
	ADD KEY auth_tokens_created (user_id, revoked_at, created_at, id),
	ADD KEY auth_tokens_modified (user_id, revoked_at, modified_at, id),
	ADD KEY auth_tokens_expiring (user_id, revoked_at, expires_at, id),
	ADD KEY auth_tokens_issued (application_id, revoked_at, id, seq, user_id, via_id),
	ADD KEY auth_tokens_every (revoked_at, id, seq, user_id, application_id, via_id);
ALTER TABLE auth_tokens DROP KEY auth_tokens_user, DROP KEY auth_tokens_application;
