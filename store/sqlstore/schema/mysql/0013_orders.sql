-- compatible: 1

-- Orders of the lists of users and applications.
ALTER TABLE auth_users ADD KEY auth_users_created (created_at, id_number, id);
ALTER TABLE auth_applications
	ADD KEY auth_applications_name (name, id),
	ADD KEY auth_applications_created (created_at, id),
	ADD KEY auth_applications_modified (modified_at, id);
