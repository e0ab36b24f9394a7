package sqlstore

// Statements of an import. Each goes on with a list.
const (
	newestNumber = `
	SELECT last_id FROM auth_counters WHERE name = 'cutoffs'`

	servedApplications = `
	SELECT a.id FROM auth_applications a WHERE NOT a.disabled AND a.id`

	importUsers = `
	INSERT INTO auth_users (
		id, id_number, name, email, first_name, last_name, is_admin, is_auditor,
		is_active, is_service, epoch, password_hash, created_at, revision)
	VALUES `
	importedUser = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`

	importColumns = `
		digest, user_id, application_id, scopes, audience, addresses, epoch, description,
		created_at, modified_at, expires_at, last_used_at, revoked_at, refresh_digest,
		refresh_scopes, refresh_expires_at, grant_expires_at, refresh_spent_at,
		refresh_nonce, refresh_grant, ends_at, purge_at, grant_created_at`
	importConstants = `,
		parent_id, independent, root_id, ancestors, via_id, refresh_number, successor_id, minted, revision`

	importTokens = `
	INSERT INTO auth_tokens (` + importColumns + `, seq, family` + importConstants + `)
	VALUES `
	importedToken = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, FALSE, 0, '', 0, 0, 0, FALSE, 1)`

	foundFamilies = `
	UPDATE auth_tokens SET family = id WHERE family = 0 AND digest`

	// importTokensAtOnce is importTokens for PostgreSQL, with a text for each
	// column in place of one for each value. The name of the sequence is looked up
	// once, by a query of its own, and not for each row.
	importTokensAtOnce = `
	INSERT INTO auth_tokens (id, family,` + importColumns + `, seq` + importConstants + `)
	OVERRIDING SYSTEM VALUE
	SELECT v.id, v.id, v.digest, v.user_id, v.application_id, v.scopes, v.audience, v.addresses, v.epoch, v.description,
		v.created_at, v.modified_at, v.expires_at, v.last_used_at, v.revoked_at, v.refresh_digest,
		v.refresh_scopes, v.refresh_expires_at, v.grant_expires_at, v.refresh_spent_at,
		v.refresh_nonce, v.refresh_grant, v.ends_at, v.purge_at, v.grant_created_at,
		CAST(? AS BIGINT), 0, FALSE, 0, '', 0, 0, 0, FALSE, 1
	FROM (
		SELECT nextval((SELECT CAST(pg_get_serial_sequence('auth_tokens', 'id') AS REGCLASS))) AS id, u.*
		FROM unnest(CAST(? AS BYTEA[]), CAST(? AS TEXT[]), CAST(? AS BIGINT[]), CAST(? AS TEXT[]), CAST(? AS TEXT[]),
			CAST(? AS TEXT[]), CAST(? AS BIGINT[]), CAST(? AS TEXT[]), CAST(? AS BIGINT[]), CAST(? AS BIGINT[]),
			CAST(? AS BIGINT[]), CAST(? AS BIGINT[]), CAST(? AS BIGINT[]), CAST(? AS BYTEA[]), CAST(? AS TEXT[]),
			CAST(? AS BIGINT[]), CAST(? AS BIGINT[]), CAST(? AS BIGINT[]), CAST(? AS BYTEA[]), CAST(? AS BYTEA[]),
			CAST(? AS BIGINT[]), CAST(? AS BIGINT[]), CAST(? AS BIGINT[])) AS u (` + importColumns + `)
	) v`

	ownersByDigest = `
	SELECT t.digest, t.user_id, t.application_id FROM auth_tokens t WHERE t.digest`
	ownersByRefresh = `
	SELECT t.refresh_digest, t.user_id, t.application_id FROM auth_tokens t WHERE t.refresh_digest`
)
