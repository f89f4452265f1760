// Command gcsfront gives an S3 server the XML API of Google Cloud Storage, as far as an object store client for backups
// uses it: the two APIs have the same requests and documents, and differ in who signs and in how "only if absent" is said.
//
//	gcsfront LISTEN S3_ENDPOINT KEY_FILE
//
// A request must carry a bearer token that the service account of KEY_FILE (PEM, a private key) has signed by itself
// (RS256), for the scope of the cloud platform, and that is valid now. It is signed anew for S3 with AWS_ACCESS_KEY_ID
// and AWS_SECRET_ACCESS_KEY, and `x-goog-if-generation-match: 0` becomes `If-None-Match: *`.
package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"
)

const scope = "https://www.googleapis.com/auth/cloud-platform"

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: gcsfront LISTEN S3_ENDPOINT KEY_FILE")
	}
	log.Fatal(run(os.Args[1], os.Args[2], os.Args[3]))
}

func run(listen, endpoint, file string) error {
	store, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	key, err := publicKey(file)
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { rewrite(r, store) }, ModifyResponse: respond}
	return http.ListenAndServe(listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, signed := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !signed {
			refuse(w, http.StatusForbidden, "AccessDenied", "Access denied.")
		} else if err := verify(token, key, time.Now()); err != nil {
			log.Printf("refused: %v", err)
			refuse(w, http.StatusUnauthorized, "AuthenticationRequired", "Authentication required.")
		} else {
			proxy.ServeHTTP(w, r)
		}
	}))
}

func publicKey(file string) (*rsa.PublicKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no RSA key", file)
	}
	return &private.PublicKey, nil
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version='1.0' encoding='UTF-8'?><Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
}

func verify(token string, key *rsa.PublicKey, now time.Time) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("not a signed token")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature); err != nil {
		return err
	}
	var head struct{ Alg string }
	var claims struct {
		Iss, Sub, Scope string
		Iat, Exp        int64
	}
	for part, into := range map[string]any{parts[0]: &head, parts[1]: &claims} {
		text, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, into); err != nil {
			return err
		}
	}
	unix := now.Unix()
	switch {
	case head.Alg != "RS256":
		return fmt.Errorf("signed by %q", head.Alg)
	case claims.Scope != scope || claims.Iss == "" || claims.Iss != claims.Sub:
		return fmt.Errorf("claims of another kind: %+v", claims)
	case claims.Iat > unix+60 || claims.Exp < unix || claims.Exp > claims.Iat+3600:
		return fmt.Errorf("not valid now: %+v", claims)
	}
	return nil
}

func rewrite(r *httputil.ProxyRequest, store *url.URL) {
	r.SetURL(store)
	r.Out.Host = store.Host
	out := r.Out.Header
	out.Del("Authorization")
	if out.Get("X-Goog-If-Generation-Match") == "0" {
		out.Set("If-None-Match", "*")
	}
	for name := range out {
		if strings.HasPrefix(name, "X-Goog-") {
			out.Del(name)
		}
	}
	out.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	signed := signer.SignV4(*r.Out, os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), "", "us-east-1")
	*r.Out = *signed
}

func respond(response *http.Response) error {
	if response.Header.Get("ETag") != "" {
		response.Header.Set("X-Goog-Generation", "1")
	}
	return nil
}
