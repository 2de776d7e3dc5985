// Program control is Tailscale's own test control server with HTTPS certificates in its tailnet, which Headscale has not.
// It keeps everything in memory. It knows one reusable key, no tags, no ephemeral nodes and no name clashes, and lists a node that logs in again twice:
// use Headscale for the life of nodes.
//
//	GET  /lab/nodes           JSON: id, name, user, addresses, expired
//	POST /lab/expire?id=N     that node's key has expired
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"tailscale.com/tailcfg"
	"tailscale.com/tstest/integration/testcontrol"
)

// What testcontrol serves. Any other path makes it panic.
var known = []string{"/key", "/ts2021", "/generate_204", "/c2n/",
	"/machine/map", "/machine/register", "/machine/set-dns", "/machine/update-health", "/machine/tka/", "/machine/webclient/"}

func main() {
	addr := flag.String("a", "127.0.0.1:9911", "listen address; the server's URL is http:// and this")
	domain := flag.String("domain", "https.test", "MagicDNS domain")
	keyFile := flag.String("key-file", "", "file with the key that every node must bring")
	derp := flag.String("derp", "", "address:port of the DERP server")
	stun := flag.Int("stun-port", 3478, "STUN port beside it")
	cert := flag.String("derp-cert", "", "its CertName")
	flag.Parse()
	secret, err := os.ReadFile(*keyFile)
	if err != nil {
		log.Fatal(err)
	}
	s := &testcontrol.Server{
		ExplicitBaseURL: "http://" + *addr,
		RequireAuthKey:  strings.TrimSpace(string(secret)),
		MagicDNSDomain:  *domain,
		DNSConfig:       &tailcfg.DNSConfig{Proxied: true, Domains: []string{*domain}},
		DERPMap:         derpMap(netip.MustParseAddrPort(*derp), *stun, *cert),
		AllOnline:       true,
	}
	guard(s)
	mux := http.NewServeMux()
	mux.Handle("/", s)
	mux.HandleFunc("GET /lab/nodes", func(w http.ResponseWriter, r *http.Request) {
		type node struct {
			ID, User  int64
			Name      string
			Addresses []netip.Prefix
			Expired   bool
		}
		list := []node{}
		for _, n := range s.AllNodes() {
			list = append(list, node{int64(n.ID), int64(n.User), n.Name, n.Addresses, expired(n)})
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(list)
	})
	mux.HandleFunc("POST /lab/expire", func(w http.ResponseWriter, r *http.Request) {
		found := false
		for _, n := range s.AllNodes() {
			if r.FormValue("id") == strconv.FormatInt(int64(n.ID), 10) {
				expire(s, n)
				found = true
			}
		}
		if !found {
			http.Error(w, "no such node", http.StatusNotFound)
		}
	})
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on %s", *addr)
	log.Fatal(http.Serve(listener, mux))
}

// With fewer than three regions the client's network check waits its full three seconds.
func derpMap(at netip.AddrPort, stun int, cert string) *tailcfg.DERPMap {
	m := &tailcfg.DERPMap{Regions: map[int]*tailcfg.DERPRegion{}, OmitDefaultRegions: true}
	for id := 900; id < 903; id++ {
		name := "lab" + strconv.Itoa(id)
		m.Regions[id] = &tailcfg.DERPRegion{RegionID: id, RegionCode: name, RegionName: name, Nodes: []*tailcfg.DERPNode{{
			Name: name + "a", RegionID: id, HostName: at.Addr().String(), CertName: cert, IPv4: at.Addr().String(), IPv6: "none",
			DERPPort: int(at.Port()), STUNPort: stun, STUNTestIP: at.Addr().String(),
		}}}
	}
	return m
}

func expired(n *tailcfg.Node) bool { return !n.KeyExpiry.IsZero() && n.KeyExpiry.Before(time.Now()) }

func expire(s *testcontrol.Server, n *tailcfg.Node) {
	n.KeyExpiry = time.Now().Add(-time.Minute)
	s.UpdateNode(n)
}

// guard puts a mux of ours before testcontrol's, which also serves the noise connections. Its field is private, but the version is pinned.
func guard(s *testcontrol.Server) {
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/generate_204", nil)) // makes that mux
	field := reflect.ValueOf(s).Elem().FieldByName("mux")
	inner := (**http.ServeMux)(unsafe.Pointer(field.UnsafeAddr()))
	old := *inner
	outer := http.NewServeMux()
	outer.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		for _, path := range known {
			if r.URL.Path == path || strings.HasSuffix(path, "/") && strings.HasPrefix(r.URL.Path, path) {
				old.ServeHTTP(w, r)
				return
			}
		}
		http.Error(w, "Not Implemented", http.StatusNotImplemented)
	})
	outer.HandleFunc("POST /machine/register", func(w http.ResponseWriter, r *http.Request) { register(s, old, w, r) })
	*inner = outer
}

// register adds what testcontrol lacks: a logout, after which the node is expired, and a login that ends an expiry.
func register(s *testcontrol.Server, next http.Handler, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var req tailcfg.RegisterRequest
	if err != nil || json.Unmarshal(body, &req) != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	if n := s.Node(req.NodeKey); n != nil && !req.Expiry.IsZero() && req.Expiry.Before(time.Now()) {
		expire(s, n)
		json.NewEncoder(w).Encode(tailcfg.RegisterResponse{NodeKeyExpired: true, MachineAuthorized: true})
		return
	}
	if n := s.Node(req.OldNodeKey); n != nil && expired(n) && req.Auth != nil && req.Auth.AuthKey == s.RequireAuthKey {
		n.KeyExpiry = time.Time{}
		s.UpdateNode(n)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	next.ServeHTTP(w, r)
}
