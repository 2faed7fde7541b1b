// An S3 service over a folder whose folders are buckets: bucket ADDRESS FOLDER. Its one account is that of
// ROOT_ACCESS_KEY_ID and ROOT_SECRET_ACCESS_KEY.
package main

import (
	"log"
	"os"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"
)

// The defaults of versitygw's own program.
const (
	maxConnections = 250_000
	maxRequests    = 100_000
	maxParts       = 10_000
	maxActions     = 5_000
	maxCopyBytes   = 5 << 30
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("expected ADDRESS FOLDER")
	}
	address, folder := os.Args[1], os.Args[2]
	access, secret := os.Getenv("ROOT_ACCESS_KEY_ID"), os.Getenv("ROOT_SECRET_ACCESS_KEY")
	store, err := posix.New(folder, meta.XattrMeta{}, posix.PosixOpts{
		Concurrency:         maxActions,
		CopyObjectThreshold: maxCopyBytes,
	})
	if err != nil {
		log.Fatal(err)
	}
	root := middlewares.RootUserConfig{Access: access, Secret: secret}
	account := auth.Account{Access: access, Secret: secret, Role: auth.RoleAdmin}
	server, err := s3api.New(store, root, "us-east-1", auth.NewIAMServiceSingle(account), nil, nil, nil, nil,
		s3api.WithQuiet(), s3api.WithKeepAlive(), s3api.WithMpMaxParts(maxParts),
		s3api.WithConcurrencyLimiter(maxConnections, maxRequests))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(server.ServeMultiPort([]string{address}))
}
