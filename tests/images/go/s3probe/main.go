// Command s3probe looks at an S3 bucket from a test's point of view: one call, one answer, no configuration file.
//
//	s3probe buckets                       their names, one a line
//	s3probe mb [-l] BUCKET                make a bucket; a bucket that is there already is fine; -l: with object lock, which keeps
//	                                      every object for a day
//	s3probe ls [-l] BUCKET [PREFIX]       keys, one a line; -l: size, tab, key
//	s3probe get BUCKET KEY                the object on standard output
//	s3probe put [-n] BUCKET KEY           an object from standard input; -n: only if there is none
//	s3probe rm [-r] BUCKET KEY            one object; -r: every object whose key starts with KEY
//	s3probe uploads BUCKET [PREFIX]       unfinished multipart uploads, one a line: upload id, tab, key
//	s3probe begin BUCKET KEY              leave such an upload behind, with one part from standard input
//
// Environment: S3_ENDPOINT (http://host:port or https://…), AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION
// (us-east-1), S3_CA_FILE (PEM, instead of the system's roots), S3_DIAL (host:port to connect to instead of the
// endpoint's, for `kubectl port-forward` to a server whose certificate names its Service).
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// partSize of uploads, in bytes: S3's smallest, so that a test gets a multipart upload from 5 MiB on.
const partSize = 5 << 20

// patience with the server as a whole: a test should fail with a sentence rather than hang.
const patience = 5 * time.Minute

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "s3probe:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 1 && args[0] == "buckets" {
		return listBuckets(ctx)
	}
	if len(args) < 2 {
		return errors.New("usage: s3probe buckets, or s3probe mb|ls|get|put|rm|uploads|begin [-flag] BUCKET [KEY]")
	}
	command, args := args[0], args[1:]
	flag := ""
	if len(args[0]) == 2 && args[0][0] == '-' {
		flag, args = args[0], args[1:]
	}
	if wanted := map[string]string{"mb": "-l", "ls": "-l", "put": "-n", "rm": "-r"}[command]; flag != "" && flag != wanted {
		return fmt.Errorf("%s has no flag %s", command, flag)
	}
	bucket, key := "", ""
	switch len(args) {
	case 1:
		bucket = args[0]
	case 2:
		bucket, key = args[0], args[1]
	default:
		return fmt.Errorf("%s takes a bucket and a key", command)
	}
	core, err := connect()
	if err != nil {
		return err
	}
	switch command {
	case "mb":
		return makeBucket(ctx, core, bucket, flag == "-l")
	case "ls":
		return list(ctx, core, bucket, key, flag == "-l")
	case "uploads":
		return listUploads(ctx, core, bucket, key)
	case "rm":
		if key == "" && flag == "" {
			return errors.New("rm needs a key, or -r")
		}
		return remove(ctx, core, bucket, key, flag == "-r")
	}
	if key == "" {
		return fmt.Errorf("%s needs a key", command)
	}
	switch command {
	case "get":
		return get(ctx, core, bucket, key)
	case "put":
		return put(ctx, core, bucket, key, flag == "-n")
	case "begin":
		return begin(ctx, core, bucket, key)
	}
	return fmt.Errorf("unknown command %q", command)
}

func connect() (*minio.Core, error) {
	endpoint, err := url.Parse(os.Getenv("S3_ENDPOINT"))
	if err != nil || endpoint.Host == "" {
		return nil, fmt.Errorf("S3_ENDPOINT is %q; it must be http://host:port or https://host:port", os.Getenv("S3_ENDPOINT"))
	}
	region := os.Getenv("AWS_REGION")
	if region == "" {
		// Named, because the client would otherwise ask the server before every first call.
		region = "us-east-1"
	}
	transport, err := newTransport()
	if err != nil {
		return nil, err
	}
	return minio.NewCore(endpoint.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
		Secure:       endpoint.Scheme == "https",
		Region:       region,
		Transport:    transport,
		BucketLookup: minio.BucketLookupPath,
		// A refusal is what many tests look for; retries would only delay it.
		MaxRetries: 1,
	})
}

func newTransport() (*http.Transport, error) {
	roots := (*x509.CertPool)(nil)
	if file := os.Getenv("S3_CA_FILE"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("S3_CA_FILE: %w", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("S3_CA_FILE %s holds no certificate", file)
		}
	}
	dialer := net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if instead := os.Getenv("S3_DIAL"); instead != "" {
				address = instead
			}
			return dialer.DialContext(ctx, network, address)
		},
	}, nil
}

func makeBucket(ctx context.Context, core *minio.Core, bucket string, locked bool) error {
	err := core.MakeBucket(ctx, bucket, minio.MakeBucketOptions{ObjectLocking: locked})
	if minio.ToErrorResponse(err).Code == "BucketAlreadyOwnedByYou" {
		err = nil
	}
	if err != nil || !locked {
		return err
	}
	mode, validity, unit := minio.Governance, uint(1), minio.Days
	return core.SetObjectLockConfig(ctx, bucket, &mode, &validity, &unit)
}

func listBuckets(ctx context.Context) error {
	core, err := connect()
	if err != nil {
		return err
	}
	buckets, err := core.ListBuckets(ctx)
	for _, bucket := range buckets {
		fmt.Println(bucket.Name)
	}
	return err
}

func list(ctx context.Context, core *minio.Core, bucket, prefix string, long bool) error {
	for object := range core.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if object.Err != nil {
			return object.Err
		}
		if long {
			fmt.Printf("%d\t", object.Size)
		}
		fmt.Println(object.Key)
	}
	return nil
}

func get(ctx context.Context, core *minio.Core, bucket, key string) error {
	body, _, _, err := core.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(os.Stdout, body)
	return err
}

func put(ctx context.Context, core *minio.Core, bucket, key string, onlyNew bool) error {
	options := minio.PutObjectOptions{}
	if onlyNew {
		options.SetMatchETagExcept("*") // If-None-Match: *
	}
	part := make([]byte, partSize)
	n, err := io.ReadFull(os.Stdin, part)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		_, err = core.PutObject(ctx, bucket, key, bytes.NewReader(part[:n]), int64(n), "", "", options)
		return err
	}
	if err != nil {
		return err
	}
	// By hand, because the client's own multipart upload sends the condition when it begins, where S3 ignores it,
	// and not when it completes.
	upload, err := core.NewMultipartUpload(ctx, bucket, key, minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	parts, err := putParts(ctx, core, bucket, key, upload, io.MultiReader(bytes.NewReader(part), os.Stdin))
	if err == nil {
		_, err = core.CompleteMultipartUpload(ctx, bucket, key, upload, parts, options)
	}
	if err != nil {
		return errors.Join(err, core.AbortMultipartUpload(ctx, bucket, key, upload))
	}
	return nil
}

func putParts(ctx context.Context, core *minio.Core, bucket, key, upload string, from io.Reader) ([]minio.CompletePart, error) {
	var parts []minio.CompletePart
	content := make([]byte, partSize)
	for number := 1; ; number++ {
		n, err := io.ReadFull(from, content)
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		part, err := core.PutObjectPart(ctx, bucket, key, upload, number, bytes.NewReader(content[:n]), int64(n), minio.PutObjectPartOptions{})
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", number, err)
		}
		parts = append(parts, minio.CompletePart{PartNumber: number, ETag: part.ETag})
	}
}

func remove(ctx context.Context, core *minio.Core, bucket, key string, recursive bool) error {
	if !recursive {
		return core.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{})
	}
	for object := range core.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: key, Recursive: true}) {
		if object.Err != nil {
			return object.Err
		}
		if err := core.RemoveObject(ctx, bucket, object.Key, minio.RemoveObjectOptions{}); err != nil {
			return fmt.Errorf("%s: %w", object.Key, err)
		}
	}
	return nil
}

func listUploads(ctx context.Context, core *minio.Core, bucket, prefix string) error {
	keyMarker, idMarker := "", ""
	for {
		page, err := core.ListMultipartUploads(ctx, bucket, prefix, keyMarker, idMarker, "", 1000)
		if err != nil {
			return err
		}
		for _, upload := range page.Uploads {
			fmt.Printf("%s\t%s\n", upload.UploadID, upload.Key)
		}
		if !page.IsTruncated {
			return nil
		}
		keyMarker, idMarker = page.NextKeyMarker, page.NextUploadIDMarker
	}
}

func begin(ctx context.Context, core *minio.Core, bucket, key string) error {
	part, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	upload, err := core.NewMultipartUpload(ctx, bucket, key, minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	_, err = core.PutObjectPart(ctx, bucket, key, upload, 1, bytes.NewReader(part), int64(len(part)), minio.PutObjectPartOptions{})
	if err == nil {
		fmt.Println(upload)
	}
	return err
}
