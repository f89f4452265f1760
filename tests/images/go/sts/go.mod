module db-backup.test/images/sts

go 1.26.0
