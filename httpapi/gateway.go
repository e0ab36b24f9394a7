package httpapi

// gatewayPrefix is the index of the paths of the gateway.
const gatewayPrefix = "/api/gateway/v1/"

// addGatewayLinks adds the resources below the gateway's index to it.
func (a *api) addGatewayLinks() {
	list := make(map[string]string)
	for name := range a.links["/api/v2/"] {
		if _, there := gatewayRoutes[name]; there {
			list[name] = gatewayPrefix + name + "/"
		}
	}
	a.links[gatewayPrefix] = list
}

// gatewayRoutes are the routes that Config.GatewayPaths serves below
// /api/gateway/v1/, by the first segment of their paths there.
var gatewayRoutes = map[string][]string{
	"me":           {"", "api", "v2"},
	"users":        {"", "api", "v2"},
	"tokens":       {"", "api", "v2"},
	"applications": {"", "api", "v2"},
	"login":        {"", "api"},
	"logout":       {"", "api"},
}

// fromGateway returns the segments of the path of a route for those of the same
// route below /api/gateway/v1/, and other segments as they are.
func (a *api) fromGateway(segments []string) []string {
	if !a.GatewayPaths || len(segments) < 5 || segments[1] != "api" || segments[2] != "gateway" || segments[3] != "v1" {
		return segments
	}
	prefix, ok := gatewayRoutes[segments[4]]
	if !ok {
		return segments
	}
	return append(prefix[:len(prefix):len(prefix)], segments[4:]...)
}
