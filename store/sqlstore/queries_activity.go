package sqlstore

// The activity stream.
const (
	insertActivity = `
	INSERT INTO auth_activities (
		happened_at, operation, object, associated, actor_id, actor, actor_token_id, subject,
		user_id, user_name, token_id, application_id, application, organization_id, changes)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	RETURNING id`

	activitiesBeyond = `
	SELECT id FROM auth_activities WHERE subject = ?
	ORDER BY happened_at DESC, id DESC LIMIT ? OFFSET ?`

	// Followed by the IDs.
	deleteActivities = `
	DELETE FROM auth_activities WHERE id`

	listActivities = `
	SELECT e.id, e.happened_at, e.operation, e.object, e.associated, e.actor_id, e.actor, e.actor_token_id,
		e.user_id, e.user_name, e.token_id, e.application_id, e.application, e.organization_id, e.changes
	FROM auth_activities e`

	activityIDs = `
	SELECT e.id FROM auth_activities e`

	activityKeys = `
	SELECT e.id, e.happened_at FROM auth_activities e`

	// joinedIDs and joinedIDsEnd go around a query for the IDs of a page.
	joinedIDs = `
	JOIN (`
	joinedIDsEnd = `
	) v ON v.id = e.id`

	oldActivities = `
	SELECT id FROM auth_activities WHERE happened_at < ? ORDER BY happened_at LIMIT ?`

	deleteActivity = `
	DELETE FROM auth_activities WHERE id = ? AND happened_at < ?`
)
