-- compatible: 1

-- Orders of the list of users.
ALTER TABLE auth_users ADD KEY auth_users_created (created_at, id_number, id);
