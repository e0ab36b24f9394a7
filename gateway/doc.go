// Package gateway is for gateways: programs in front of a service that tell it
// the address of the client and the name of the user. The service itself needs
// an [auth.Proxy], and of this package [ParseKey] or [FetchKeys] at most.
//
// A gateway that is written in Go uses a [Signer]. nginx, Caddy and Traefik can
// be gateways as well: they send a question to [ForwardAuth] for each request,
// and copy the user and the proof from the answer.
//
// A service that verifies X-Trusted-Proxy takes the address of the client from
// X-Envoy-External-Address first, as AWX does. A proxy that passes proofs on
// must therefore remove that field.
//
// # Caddy
//
// Caddy sends the method and the address by itself, and passes redirects on to the
// client:
//
//	request_header -X-Envoy-External-Address
//	forward_auth auth:8080 {
//		uri /question
//		copy_headers X-Remote-User X-Trusted-Proxy
//	}
//
// # nginx
//
// nginx must be configured to send the method and the address. It accepts 401
// as an answer, but no redirect. ForwardAuthOptions.LoginStatus must therefore
// be 401, and a named location redirects to the Location of that answer:
//
//	location / {
//		auth_request /question;
//		auth_request_set $user $upstream_http_x_remote_user;
//		auth_request_set $proof $upstream_http_x_trusted_proxy;
//		auth_request_set $login $upstream_http_location;
//		error_page 401 = @login;
//		proxy_set_header X-Remote-User $user;
//		proxy_set_header X-Trusted-Proxy $proof;
//		proxy_set_header X-Envoy-External-Address "";
//		proxy_set_header X-Forwarded-For $remote_addr;
//		proxy_set_header X-Forwarded-Proto $scheme;
//		proxy_set_header Host $http_host;
//		proxy_pass http://service;
//	}
//	location @login {
//		if ($login) { return 302 $login; }
//		return 401;
//	}
//	location = /question {
//		internal;
//		proxy_pass http://auth:8080;
//		proxy_pass_request_body off;
//		proxy_set_header Content-Length "";
//		proxy_set_header Host $http_host;
//		proxy_set_header X-Forwarded-For $remote_addr;
//		proxy_set_header X-Forwarded-Proto $scheme;
//		proxy_set_header X-Forwarded-Method $request_method;
//		proxy_set_header X-Forwarded-Uri $request_uri;
//		proxy_set_header X-Forwarded-Upgrade $http_upgrade;
//	}
//
// X-Forwarded-Method, X-Forwarded-Uri and X-Forwarded-Upgrade must be in
// [auth.ProxyOptions].Protected.
package gateway
