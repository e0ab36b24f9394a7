package sqlstore

// Cut-offs: a token from before a cut-off, by the number of the newest at that
// time, is dead if it has the same user, application, both or neither. Those
// four are looked up by primary key, unless the newest of all is older than the
// token.
const (
	viaToken = `CASE WHEN t.application_id <> 0 THEN t.application_id ELSE t.via_id END`

	newestCutoff = `(SELECT MAX(c.seq) FROM auth_cutoffs c)`

	// cutToken is when a cut-off ended t, or NULL: four look-ups by the whole
	// primary key, whatever a planner believes about the table.
	cutToken = `CASE WHEN ` + newestCutoff + ` > t.seq THEN COALESCE(
		(` + cutAfter + `t.seq AND x.user_id = t.user_id AND x.application_id = 0),
		(` + cutAfter + `t.seq AND x.user_id = '' AND x.application_id = ` + viaToken + `),
		(` + cutAfter + `t.seq AND x.user_id = t.user_id AND x.application_id = ` + viaToken + `),
		(` + cutAfter + `t.seq AND x.user_id = '' AND x.application_id = 0)) END`

	// cutAfter begins a look-up of a cut-off by its primary key.
	cutAfter = `SELECT x.cut_at FROM auth_cutoffs x WHERE x.family = 0 AND x.seq > `

	// cutTokenAtOnce is cutToken for PostgreSQL, which takes less time to begin one
	// subquery than four.
	cutTokenAtOnce = `CASE WHEN ` + newestCutoff + ` > t.seq THEN (
		SELECT MAX(c.cut_at) FROM auth_cutoffs c
		WHERE c.family = 0 AND c.seq + 0 > t.seq AND c.user_id IN ('', t.user_id) AND c.application_id IN (0, ` + viaToken + `)) END`

	// notCut is whether no cut-off ended t, for lists in PostgreSQL: it expects
	// that of hardly any token a computed value is NULL, and sorts those few.
	notCut = `NOT EXISTS (
		SELECT 1 FROM auth_cutoffs c
		WHERE c.family = 0 AND c.seq + 0 > t.seq AND c.user_id IN ('', t.user_id) AND c.application_id IN (0, ` + viaToken + `))`

	// unnamed is whether no cut-off, however old, is about the user or the application
	// of t: what is read of all cut-offs is read once, and not for each token.
	unnamed = `t.user_id NOT IN (SELECT c.user_id FROM auth_cutoffs c WHERE c.family = 0 AND c.user_id <> '')
		AND ` + viaToken + ` NOT IN (
			SELECT c.application_id FROM auth_cutoffs c WHERE c.family = 0 AND c.user_id = '' AND c.application_id <> 0)
		AND t.seq >= COALESCE((
			SELECT MAX(c.seq) FROM auth_cutoffs c WHERE c.family = 0 AND c.user_id = '' AND c.application_id = 0), 0)`

	// lineageState counts the live ones of up to eight families, and finds the
	// cut-off that ended the descendants of up to eight families.
	lineageState = `
	SELECT
		(SELECT COUNT(DISTINCT t.family) FROM auth_tokens t
		WHERE t.family IN (?, ?, ?, ?, ?, ?, ?, ?) AND t.revoked_at IS NULL AND ` + cutToken + ` IS NULL),
		(SELECT MAX(c.cut_at) FROM auth_cutoffs c
		WHERE c.user_id = '' AND c.application_id = 0 AND c.family IN (?, ?, ?, ?, ?, ?, ?, ?) AND c.seq + 0 > ?)`

	// The same for many tokens, with a list of families each.
	liveFamilies = `
	SELECT DISTINCT t.family FROM auth_tokens t
	WHERE t.revoked_at IS NULL AND ` + cutToken + ` IS NULL AND t.family`
	familyCutoffs = `
	SELECT c.family, c.seq, c.cut_at FROM auth_cutoffs c
	WHERE c.user_id = '' AND c.application_id = 0 AND c.family`

	nextCutoff = `
	UPDATE auth_counters SET last_id = last_id + 1 WHERE name = 'cutoffs'`

	deleteCutoff = `
	DELETE FROM auth_cutoffs WHERE user_id = ? AND application_id = ? AND family = ?`

	insertCutoff = `
	INSERT INTO auth_cutoffs (
		user_id, application_id, family, seq, cut_at, root_id, stage, after_id, waits_until)
	SELECT ?, ?, ?, n.last_id, ?, ?, 0, 0, 0 FROM auth_counters n WHERE n.name = 'cutoffs'`

	cutoffColumns = `
	SELECT user_id, application_id, family, seq, cut_at, root_id, stage, after_id FROM auth_cutoffs`

	cutoffByKey = cutoffColumns + `
	WHERE user_id = ? AND application_id = ? AND family = ?`

	cutoffsToMark = cutoffColumns + `
	WHERE waits_until < ? ORDER BY waits_until, seq LIMIT 1`

	moveCutoff = `
	UPDATE auth_cutoffs SET stage = ?, after_id = ?, waits_until = ?
	WHERE user_id = ? AND application_id = ? AND family = ? AND seq = ?`

	dropCutoff = `
	DELETE FROM auth_cutoffs WHERE user_id = ? AND application_id = ? AND family = ? AND seq = ?`

	cutRows = `
	SELECT t.id, t.family, t.seq, ` + viaToken + `, t.parent_id, t.independent, t.ancestors, t.revoked_at`

	treeRows = `
	SELECT t.id, t.family, t.parent_id, t.independent, t.ancestors FROM auth_tokens t
	WHERE t.revoked_at IS NULL AND `

	rootOfFamily = `
	SELECT t.root_id FROM auth_tokens t WHERE t.family = ? LIMIT 1`

	consentsOfGone = `
	SELECT c.uri_digest FROM auth_consents c
	WHERE c.application_id = ? AND NOT EXISTS (SELECT 1 FROM auth_applications a WHERE a.id = c.application_id)
	LIMIT ?`

	deleteConsentsOf = `
	DELETE FROM auth_consents WHERE application_id = ? AND uri_digest`
)

// Tokens.
const (
	accessFields = `
	t.id, t.family, t.user_id, t.application_id, t.scopes, t.audience, t.addresses, t.epoch,
	t.expires_at, t.revoked_at, t.last_used_at, t.seq, t.via_id, t.parent_id, t.independent,
	t.ancestors`
	accessColumns = accessFields + `, ` + cutToken
	accessAtOnce  = accessFields + `, ` + cutTokenAtOnce

	accessByDigest = `
	SELECT` + accessColumns + ` FROM auth_tokens t WHERE t.digest = ?`

	accessAndUser = `
	SELECT` + accessColumns + `,` + joinedUser + `
	FROM auth_tokens t LEFT JOIN auth_users u ON u.id = t.user_id
	WHERE t.digest = ?`

	accessByDigestPostgres = `
	SELECT` + accessAtOnce + ` FROM auth_tokens t WHERE t.digest = ?`

	accessAndUserPostgres = `
	SELECT` + accessAtOnce + `,` + joinedUser + `
	FROM auth_tokens t LEFT JOIN auth_users u ON u.id = t.user_id
	WHERE t.digest = ?`

	// For MySQL a subquery is dear even where it is not run. It gets the newest
	// cut-off, and asks again only if that is younger than the token.
	accessByDigestMySQL = `
	SELECT` + accessFields + `, ` + newestCutoff + ` FROM auth_tokens t WHERE t.digest = ?`

	accessAndUserMySQL = `
	SELECT` + accessFields + `, ` + newestCutoff + `,` + joinedUser + `
	FROM auth_tokens t LEFT JOIN auth_users u ON u.id = t.user_id
	WHERE t.digest = ?`

	cutByID = `
	SELECT ` + cutToken + ` FROM auth_tokens t WHERE t.id = ?`

	tokenColumns = `
	t.id, t.digest, t.user_id, t.application_id, t.parent_id, t.family, t.scopes,
	t.audience, t.addresses, t.epoch, t.description, t.created_at, t.modified_at,
	t.expires_at, t.last_used_at, t.revoked_at, t.refresh_digest, t.refresh_scopes,
	t.refresh_expires_at, t.grant_expires_at, t.refresh_spent_at, t.refresh_nonce,
	t.refresh_number, t.grant_created_at, t.refresh_grant, t.revision, t.seq, t.via_id,
	t.root_id, t.independent, t.ancestors`

	tokenByDigest = `
	SELECT` + tokenColumns + `, ` + cutToken + ` FROM auth_tokens t WHERE t.digest = ?`

	tokenByID = `
	SELECT` + tokenColumns + `, ` + cutToken + ` FROM auth_tokens t WHERE t.id = ?`

	tokenByRefresh = `
	SELECT` + tokenColumns + `, ` + cutToken + ` FROM auth_tokens t WHERE t.refresh_digest = ?`

	tokenByGrant = `
	SELECT` + tokenColumns + `, ` + cutToken + ` FROM auth_tokens t
	WHERE t.refresh_grant = ? ORDER BY t.refresh_number DESC, t.id DESC LIMIT 1`

	// tokenByFamily also tells the number of the newest cut-off.
	tokenByFamily = `
	SELECT` + tokenColumns + `, ` + cutToken + `,
		(SELECT n.last_id FROM auth_counters n WHERE n.name = 'cutoffs')
	FROM auth_tokens t
	WHERE t.family = ? AND t.revoked_at IS NULL LIMIT 1`

	// Lists. The tokens of a list are those of one range of an index, or of
	// several: see token_lists.go, which puts conditions, orders and limits in.
	tokenIDs = `
	SELECT t.id`

	// tokenOwners begins a query that idsByOwner goes around, with conditions.
	tokenOwners = `
	SELECT t.id, t.user_id, t.application_id`
	idsByOwner = `
	SELECT v.id FROM (`
	idsByOwnerEnd = `
	) v WHERE `

	whereLive = `
	WHERE t.revoked_at IS NULL`

	// Personal tokens by their expiry.
	expiringTokens = `
	SELECT` + tokenColumns + `, NULL FROM auth_tokens t
	WHERE t.application_id = 0 AND t.revoked_at IS NULL
		AND t.expires_at >= ? AND (t.expires_at > ? OR t.id > ?) AND t.expires_at < ?
		AND ` + cutToken + ` IS NULL
	ORDER BY t.application_id, t.expires_at, t.id LIMIT ?`

	mergedIDs = `
	SELECT u.id FROM (`
	mergedIDsEnd = `
	) u`

	tokensByID = `
	SELECT` + tokenColumns + `, NULL FROM (`
	tokensByIDEnd = `
	) v JOIN auth_tokens t ON t.id = v.id`

	// tokenRefs begins a query that outerRefs goes around, where cut-offs are
	// looked up for the rows that are left; see token_lists.go.
	tokenRefs = `
	SELECT t.application_id, t.id, t.scopes, t.parent_id, t.independent, t.ancestors, t.seq, t.user_id, t.via_id`
	outerRefs = `
	SELECT t.application_id, t.id, t.scopes, t.parent_id, t.independent, t.ancestors, t.seq, `
	outerRefsFrom = ` FROM (`
	outerRefsEnd  = `
	) v`

	// countOf and countOfEnd go around a query with a limit.
	countOf = `
	SELECT COUNT(*) FROM (`
	countOfEnd = `
	) n`

	// tokensIndexed, and cutNames with values before cutNamesEnd, have the name of an index
	// behind them: what SQLite expects of a user may be what one of them has.
	tokensIndexed = `
	FROM auth_tokens t INDEXED BY auth_tokens_`
	cutNames = `
	SELECT 1 FROM (VALUES `
	cutNamesEnd = `) c CROSS JOIN auth_tokens t INDEXED BY auth_tokens_`

	// The applications of an organization, with those conditions and others.
	applicationsOf = `
	SELECT a.id FROM auth_applications a`

	inOrganizations = `
	t.application_id IN (SELECT a.id FROM auth_applications a WHERE a.organization_id`

	// newestCutoffs has a limit before its end. It finds them by an index that has
	// nothing else: MySQL would rather sort all of them than look up a few.
	newestCutoffs = `
	SELECT c.user_id, c.application_id, c.family, c.seq FROM (
	SELECT n.user_id, n.application_id, n.family FROM auth_cutoffs n ORDER BY n.seq DESC`
	newestCutoffsEnd = `
	) v LEFT JOIN auth_cutoffs c ON c.user_id = v.user_id AND c.application_id = v.application_id AND c.family = v.family
	ORDER BY c.seq DESC`

	someCutoffs = `
	SELECT 1 AS one FROM auth_cutoffs c WHERE c.seq > 0`

	// cutoffsOfUser returns those that concern a user: the user's own, those of
	// applications, and those of everything. No user is named, because it is theirs.
	cutoffsOfUser = `
	SELECT '', c.application_id, c.family, c.seq FROM auth_cutoffs c WHERE c.user_id = ?
	UNION ALL
	SELECT '', c.application_id, c.family, c.seq FROM auth_cutoffs c WHERE c.user_id = '' AND c.application_id > 0
	UNION ALL
	SELECT '', c.application_id, c.family, c.seq FROM auth_cutoffs c WHERE c.user_id = '' AND c.application_id = 0 AND c.family = 0`

	// countUncut begins a query as countOf does. It also tells whether there are
	// cut-offs that concern a user.
	countUncut = `
	SELECT COUNT(*), (SELECT COUNT(*) FROM (` + cutoffsOfUser + ` LIMIT 1) x) FROM (`

	updateToken = `
	UPDATE auth_tokens AS t SET
		digest = ?, scopes = ?, description = ?, expires_at = ?, modified_at = ?,
		refresh_scopes = CASE WHEN refresh_digest IS NULL THEN refresh_scopes ELSE ? END,
		ends_at = CASE WHEN refresh_expires_at > ? THEN refresh_expires_at ELSE ? END,
		purge_at = CASE WHEN refresh_expires_at > ? THEN refresh_expires_at ELSE ? END,
		revision = revision + 1
	WHERE id = ? AND revision = ? AND revoked_at IS NULL AND ` + cutToken + ` IS NULL`

	touchToken  = touchTokens + ` = ?` + notWaiting
	touchTokens = `
	UPDATE auth_tokens AS t SET last_used_at = ?
	WHERE revoked_at IS NULL AND (last_used_at IS NULL OR last_used_at < ?)
		AND ` + cutToken + ` IS NULL AND id`
)

// Rotation and revocation.
//
// A rotation moves a family from one token to the next. A revocation of the
// family that runs at the same time must not miss the next one because it
// looked too early. Therefore both lock the family's slot first, and look
// afterwards: in READ COMMITTED every statement sees the commits before its
// start.
//
// No revocation needs to find the descendants, nor a rotation to move them: they
// look for a live token in each family above them when they are used.
const (
	familyByRefresh = `
	SELECT` + tokenColumns + `, ` + cutToken + `, t.successor_id
	FROM auth_locks l JOIN auth_tokens t ON l.slot = (t.family & 255)
	WHERE t.refresh_digest = ? FOR UPDATE`

	// familyByRefreshMySQL is as accessByDigestMySQL.
	familyByRefreshMySQL = `
	SELECT` + tokenColumns + `, ` + newestCutoff + `, t.successor_id
	FROM auth_locks l JOIN auth_tokens t ON l.slot = (t.family & 255)
	WHERE t.refresh_digest = ? FOR UPDATE`

	spendRefresh = `
	UPDATE auth_tokens SET
		refresh_spent_at = ?, refresh_nonce = ?, successor_id = ?, revoked_at = ?,
		ends_at = CASE WHEN ends_at > ? THEN ? ELSE ends_at END,
		purge_at = COALESCE(grant_expires_at, 9223372036854775807)
	WHERE id = ? AND refresh_spent_at IS NULL AND revoked_at IS NULL AND refresh_expires_at > ?`

	// deleteSpentBefore needs the family's slot. There is a row at most, for the
	// others went when it was spent.
	deleteSpentBefore = `
	DELETE FROM auth_tokens
	WHERE refresh_grant = ? AND family + 0 = ? AND refresh_spent_at IS NOT NULL AND refresh_number < ?`

	// rotateAtOnce is familyByRefresh, spendRefresh, deleteSpentBefore and
	// insertToken, where nothing stands in the way. Each part works on what the
	// one before returned, so nothing is inserted unless the old token was spent.
	rotateAtOnce = `
	WITH old AS (
		SELECT t.id, t.application_id, t.revision, t.grant_expires_at, t.parent_id, ` + cutTokenAtOnce + ` AS cut_at
		FROM auth_locks l JOIN auth_tokens t ON l.slot = (t.family & 255)
		WHERE t.refresh_digest = ? FOR UPDATE OF l, t
	), spent AS (
		UPDATE auth_tokens AS t SET
			refresh_spent_at = ?, refresh_nonce = ?, revoked_at = ?,
			ends_at = CASE WHEN t.ends_at > ? THEN ? ELSE t.ends_at END,
			purge_at = COALESCE(t.grant_expires_at, 9223372036854775807),
			successor_id = nextval(pg_get_serial_sequence('auth_tokens', 'id'))
		FROM old
		WHERE t.id = old.id AND old.application_id = ? AND old.revision = ? AND old.parent_id = 0
			AND old.cut_at IS NULL
			AND t.refresh_spent_at IS NULL AND t.revoked_at IS NULL AND t.refresh_expires_at > ?
			AND (old.grant_expires_at IS NULL OR old.grant_expires_at > ?)
		RETURNING t.successor_id, t.family, t.seq, t.refresh_number, t.grant_created_at, t.created_at
	), gone AS (
		DELETE FROM auth_tokens AS t USING spent
		WHERE t.refresh_grant = ? AND t.family + 0 = spent.family AND t.refresh_spent_at IS NOT NULL
			AND t.refresh_number < spent.refresh_number
	)
	INSERT INTO auth_tokens (id, family,` + insertColumns + `
	OVERRIDING SYSTEM VALUE
	SELECT spent.successor_id, spent.family,
		?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
		COALESCE(spent.grant_created_at, spent.created_at), 0, FALSE, 0, '', 0, spent.seq, spent.refresh_number + 1, 0, FALSE, 1
	FROM spent
	RETURNING id, family, refresh_number, grant_created_at`

	// The rest stands behind where the selection is put in: a condition on t
	// built from constants in revoke.go.
	namedTokens = `
	SELECT t.id, t.family FROM auth_tokens t WHERE t.revoked_at IS NULL AND `
	namedTokensEnd = ` ORDER BY t.id LIMIT ?`

	revokeTokens = `
	UPDATE auth_tokens AS t SET
		revoked_at = ?, ends_at = CASE WHEN ends_at > ? THEN ? ELSE ends_at END,
		purge_at = CASE WHEN purge_at > ? THEN ? ELSE purge_at END
	WHERE revoked_at IS NULL AND t.id`

	mintedOf = `
	SELECT t.id, t.family FROM auth_tokens t
	WHERE t.revoked_at IS NULL AND NOT t.independent AND t.parent_id <> 0
		AND NOT EXISTS (SELECT 1 FROM auth_tokens p WHERE p.family = t.parent_id AND p.revoked_at IS NULL)
		AND t.parent_id`
	mintedOfEnd = ` LIMIT ?`

	// childrenOf finds children with their parents.
	childrenOf = `
	SELECT t.id, t.parent_id FROM auth_tokens t
	WHERE t.revoked_at IS NULL AND NOT t.independent AND t.parent_id <> 0 AND t.parent_id`
)

// Purges look first and remove what they found if it is still so: MySQL takes no
// limited subquery.
const (
	tokensToPurge = `
	SELECT t.id, t.family, t.expires_at, t.revoked_at, t.refresh_digest IS NOT NULL, t.refresh_expires_at,
		t.refresh_spent_at, t.grant_expires_at, t.purge_at
	FROM auth_tokens t WHERE t.purge_at < ? ORDER BY t.purge_at LIMIT ?`

	postponeToken = `
	UPDATE auth_tokens SET purge_at = ? WHERE id = ? AND purge_at = ?`

	deleteTokens = `
	DELETE FROM auth_tokens WHERE (purge_at < ? OR refresh_spent_at IS NOT NULL) AND id`

	liveOfFamilies = `
	SELECT t.id, t.family FROM auth_tokens t WHERE t.revoked_at IS NULL AND t.family`

	spentOfFamilies = `
	SELECT t.id, t.family FROM auth_tokens t WHERE t.refresh_spent_at IS NOT NULL AND t.family`

	lastChildren = `
	SELECT t.parent_id, MAX(t.purge_at) FROM auth_tokens t WHERE t.parent_id <> 0 AND t.parent_id`
	lastChildrenEnd = ` GROUP BY t.parent_id`
)
