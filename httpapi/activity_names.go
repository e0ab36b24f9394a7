package httpapi

import "github.com/ostiary/auth/store"

// objectNames are AWX's names of kinds of objects.
var objectNames = map[store.ObjectKind]string{
	store.ObjectUser: "user", store.ObjectToken: "o_auth2_access_token", store.ObjectApplication: "o_auth2_application",
}
