package auth

import "errors"

// In place of the other account services.

var errLeftOut = errors.New("left out of this build")

type IAMServiceStandaloneConfig struct {
	Endpoint, Access, Secret, ClientCert, ClientCertKey, ServerCA, Region string
	DefaultUserID, DefaultGroupID, DefaultProjectID                       int
}

func NewIAMServiceStandalone(_ Account, _ IAMServiceStandaloneConfig) (IAMService, error) {
	return nil, errLeftOut
}

func NewLDAPService(_ Account, _, _, _, _, _, _, _, _, _, _, _ string, _ bool) (IAMService, error) {
	return nil, errLeftOut
}

func NewS3(_ Account, _, _, _, _, _ string, _ bool) (IAMService, error) {
	return nil, errLeftOut
}

func NewVaultIAMService(_ Account, _, _, _, _, _, _, _, _, _, _, _, _, _ string) (IAMService, error) {
	return nil, errLeftOut
}

func NewIpaIAMService(_ Account, _, _, _, _ string, _ bool) (IAMService, error) {
	return nil, errLeftOut
}
