package clientdoc

import (
	"net/netip"
	"testing"
)

func TestAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1": true, "8.8.8.8": true, "93.184.216.34": true, "172.15.255.255": true, "172.32.0.0": true, "100.63.255.255": true,
		"100.128.0.0": true, "198.17.255.255": true, "198.20.0.0": true, "223.255.255.255": true, "192.0.1.0": true, "11.0.0.0": true, "9.255.255.255": true,
		"2606:4700::1111": true, "2a00:1450:4001::1": true, "2001:200::1": true, "2001:4860::8888": true, "2003::1": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "10.255.255.255": false, "100.64.0.1": false, "100.100.100.200": false, "100.127.255.255": false,
		"127.0.0.1": false, "127.255.255.254": false, "168.63.129.16": false, "169.254.0.1": false, "169.254.169.254": false, "169.254.170.2": false,
		"172.16.0.1": false, "172.31.255.255": false, "192.0.0.1": false, "192.0.0.192": false, "192.0.2.1": false, "192.88.99.1": false,
		"192.168.0.1": false, "192.168.255.255": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false,
		"224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,

		"::": false, "::1": false, "::127.0.0.1": false, "::8.8.8.8": false, "::ffff:127.0.0.1": false, "::ffff:8.8.8.8": false, "::ffff:0:8.8.8.8": false,
		"64:ff9b::8.8.8.8": false, "64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "100::1": false, "2001::1": false, "2001:2::1": false,
		"2001:10::1": false, "2001:20::1": false, "2001:db8::1": false, "2002:7f00:1::": false, "2002:808:808::1": false, "3fff::1": false, "5f00::1": false,
		"fc00::1": false, "fd00:ec2::254": false, "fdff::1": false, "fe80::1": false, "fe80::1%eth0": false, "2606:4700::1111%eth0": false, "fec0::1": false,
		"ff02::1": false, "ff0e::1": false, "4000::1": false,
	} {
		a := netip.MustParseAddr(address)
		if got := isPublic(a); got != want {
			t.Errorf("%s is public: %v, want %v", address, got, want)
		}
		d := newDialer(false)
		if got := d.control("tcp", netip.AddrPortFrom(a, 443).String(), nil) == nil; got != want {
			t.Errorf("%s is dialed: %v, want %v", address, got, want)
		}
		if d.control("tcp", netip.AddrPortFrom(a, 80).String(), nil) == nil {
			t.Errorf("%s is dialed at port 80", address)
		}
		if got := newDialer(true).control("tcp", netip.AddrPortFrom(a, 8443).String(), nil) == nil; got != a.IsLoopback() {
			t.Errorf("%s is dialed by an insecure fetcher: %v", address, got)
		}
	}
	if isPublic(netip.Addr{}) || newDialer(false).control("tcp", "client.example:443", nil) == nil || newDialer(true).control("unix", "/socket", nil) == nil {
		t.Error("an address that is none is dialed")
	}
}

func TestRooted(t *testing.T) {
	for address, want := range map[string]string{
		"client.example:443": "client.example.:443", "127.0.0.1:443": "127.0.0.1:443", "[::1]:443": "[::1]:443", "localhost:443": "localhost:443",
	} {
		if got := rooted(address); got != want {
			t.Errorf("%s is dialed as %s, want %s", address, got, want)
		}
	}
}
