// Command coredns is CoreDNS with only the plugins that the test cluster needs. There is no forward plugin on
// purpose: a name that the cluster does not know must be answered with "no such name" at once, and nothing may
// leave the machine. It is a module of its own, because CoreDNS and Kubernetes pin different versions of the
// libraries that they share.
package main

import (
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
)

// The order in which plugins see a query; CoreDNS runs only the plugins that are named here.
var order = []string{"bind", "health", "ready", "errors", "template", "cache", "kubernetes"}

func main() {
	dnsserver.Directives = order
	coremain.Run()
}
