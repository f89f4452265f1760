module db-backup.test/images/azprobe

go 1.26.0

require github.com/Azure/azure-sdk-for-go/sdk/storage/azblob v1.8.0

require (
	github.com/Azure/azure-sdk-for-go/sdk/azcore v1.22.0 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/internal v1.12.0 // indirect
	golang.org/x/net v0.56.0 // indirect
	golang.org/x/text v0.38.0 // indirect
)
