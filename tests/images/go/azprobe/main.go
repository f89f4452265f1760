// Command azprobe looks at an Azure container from a test's point of view, as s3probe does at a bucket.
//
//	azprobe containers               their names, one a line
//	azprobe mb CONTAINER             make a container; one that is there already is fine
//	azprobe ls CONTAINER [PREFIX]    names of blobs, one a line
//	azprobe get CONTAINER BLOB       the blob on standard output
//	azprobe sas CONTAINER SECONDS    a SAS token to read, write, list and delete in the container for so long
//
// Environment: AZURE_ENDPOINT (http://host:port/account), AZURE_STORAGE_ACCOUNT, AZURE_STORAGE_KEY.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "azprobe:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	args = append(args, "", "", "")
	command, name, argument := args[0], args[1], args[2]
	key, err := azblob.NewSharedKeyCredential(os.Getenv("AZURE_STORAGE_ACCOUNT"), os.Getenv("AZURE_STORAGE_KEY"))
	if err != nil {
		return err
	}
	client, err := azblob.NewClientWithSharedKeyCredential(os.Getenv("AZURE_ENDPOINT"), key, nil)
	if err != nil {
		return err
	}
	switch command {
	case "containers":
		return containers(ctx, client)
	case "mb":
		_, err := client.CreateContainer(ctx, name, nil)
		if bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
			return nil
		}
		return err
	case "ls":
		return list(ctx, client, name, argument)
	case "get":
		found, err := client.DownloadStream(ctx, name, argument, nil)
		if err != nil {
			return err
		}
		defer found.Body.Close()
		_, err = io.Copy(os.Stdout, found.Body)
		return err
	case "sas":
		return sign(key, name, argument)
	}
	return errors.New("usage: azprobe containers, or azprobe mb|ls|get|sas CONTAINER [ARGUMENT]")
}

func containers(ctx context.Context, client *azblob.Client) error {
	pages := client.NewListContainersPager(nil)
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, item := range page.ContainerItems {
			fmt.Println(*item.Name)
		}
	}
	return nil
}

func list(ctx context.Context, client *azblob.Client, name, prefix string) error {
	pages := client.NewListBlobsFlatPager(name, &azblob.ListBlobsFlatOptions{Prefix: &prefix})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, item := range page.Segment.BlobItems {
			fmt.Println(*item.Name)
		}
	}
	return nil
}

func sign(key *azblob.SharedKeyCredential, name, seconds string) error {
	life, err := strconv.Atoi(seconds)
	if err != nil {
		return err
	}
	allowed := sas.ContainerPermissions{Read: true, Write: true, Create: true, Add: true, List: true, Delete: true}
	values := sas.BlobSignatureValues{
		ContainerName: name, Permissions: allowed.String(), Protocol: sas.ProtocolHTTPSandHTTP,
		StartTime: time.Now().UTC().Add(-time.Minute), ExpiryTime: time.Now().UTC().Add(time.Duration(life) * time.Second),
	}
	query, err := values.SignWithSharedKey(key)
	if err != nil {
		return err
	}
	fmt.Println(query.Encode())
	return nil
}
