#Requires -RunAsAdministrator
$ErrorActionPreference = 'Stop'
$name    = 'fieldpost-collector'
$account = 'CORP\svc-fp'
$state   = 'D:\field post\'
$command = '"C:\Program Files\O''Brien\c.exe" serve --listen :8443 --data "D:\field post\\"'

New-Service -Name $name -BinaryPathName $command -DisplayName 'Fieldpost collector' -Description 'Fieldpost collector' -StartupType Automatic | Out-Null
sc.exe config $name start= delayed-auto obj= $account | Out-Null
sc.exe sidtype $name unrestricted | Out-Null
sc.exe privs $name SeChangeNotifyPrivilege | Out-Null
sc.exe failure $name reset= 86400 actions= restart/10000/restart/10000/restart/60000 | Out-Null

New-Item -ItemType Directory -Force -Path $state | Out-Null
icacls.exe $state /inheritance:r /grant:r "${account}:(OI)(CI)F" '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-18:(OI)(CI)F' | Out-Null

# Start-Service $name
