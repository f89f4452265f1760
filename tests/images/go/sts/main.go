// Command sts answers AssumeRoleWithWebIdentity as Amazon's does: it verifies a service account's token by the cluster's
// public keys, and hands out an S3 server's keys for a while.
//
//	sts LISTEN FOLDER
//
// FOLDER has tls.crt and tls.key, jwks.json (the cluster's /openid/v1/jwks), and what is handed out to whom: role (an ARN),
// subject (system:serviceaccount:…), access-key-id, secret-access-key and life, in seconds. The session token is empty, because
// versitygw refuses any. One line of its log is one answer.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const audience = "sts.amazonaws.com"

const granted = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey>
<SessionToken></SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>`

const refused = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: sts LISTEN FOLDER")
	}
	folder := os.Args[2]
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { answer(w, r, folder) })
	log.Fatal(http.ListenAndServeTLS(os.Args[1], filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"), nil))
}

func answer(w http.ResponseWriter, r *http.Request, folder string) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			log.Printf("cannot read: %v", err)
		}
		return string(text)
	}
	refuse := func(code, message string) {
		log.Printf("refused: %s: %s", code, message)
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, refused, code, message)
	}
	if action := r.FormValue("Action"); action != "AssumeRoleWithWebIdentity" {
		refuse("InvalidAction", action)
		return
	}
	subject, err := verify(r.FormValue("WebIdentityToken"), read("jwks.json"), time.Now())
	switch {
	case err != nil:
		refuse("InvalidIdentityToken", err.Error())
	case subject != read("subject") || r.FormValue("RoleArn") != read("role"):
		refuse("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
	default:
		life, err := strconv.Atoi(read("life"))
		if err != nil {
			log.Printf("life: %v", err)
		}
		log.Printf("assumed by %s", subject)
		end := time.Now().UTC().Add(time.Duration(life) * time.Second).Format(time.RFC3339)
		fmt.Fprintf(w, granted, read("access-key-id"), escaped(read("secret-access-key")), end)
	}
}

func escaped(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// key is one of a JWKS (RFC 7517): RSA or P-256, which are what clusters sign with.
type key struct{ Kty, Crv, N, E, X, Y string }

func (k key) signed(hash, signature []byte) bool {
	switch {
	case k.Kty == "RSA":
		public := &rsa.PublicKey{N: number(k.N), E: int(number(k.E).Int64())}
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, hash, signature) == nil
	case k.Kty == "EC" && k.Crv == "P-256" && len(signature) == 64:
		public := &ecdsa.PublicKey{Curve: elliptic.P256(), X: number(k.X), Y: number(k.Y)}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(public, hash, r, s)
	}
	return false
}

// number reads what is none as 0, which verifies nothing.
func number(text string) *big.Int {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return new(big.Int)
	}
	return new(big.Int).SetBytes(bytes)
}

// verify gives the subject of a token that one of the keys has signed, and that is for us and valid now.
func verify(token, jwks string, now time.Time) (string, error) {
	var keys struct{ Keys []key }
	if err := json.Unmarshal([]byte(jwks), &keys); err != nil {
		return "", err
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("no token")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !slices.ContainsFunc(keys.Keys, func(key key) bool { return key.signed(hash[:], signature) }) {
		return "", errors.New("not signed by this cluster")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", err
	}
	var claims struct {
		Sub      string
		Aud      []string
		Exp, Iat int64
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		return "", err
	}
	switch {
	case !slices.Equal(claims.Aud, []string{audience}):
		return "", fmt.Errorf("a token for %v", claims.Aud)
	case now.Unix() > claims.Exp || claims.Exp-claims.Iat > 3600:
		return "", fmt.Errorf("from %d to %d", claims.Iat, claims.Exp)
	}
	return claims.Sub, nil
}
