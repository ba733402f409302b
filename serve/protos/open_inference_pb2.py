"""Messages of the Open Inference Protocol, written by write_modules.py; do not edit."""

from google.protobuf import descriptor_pool, message_factory

SERIALIZED = (
    b'\n\x14open_inference.proto\x12\tinference"\x13\n\x11ServerLiveR'
    b'equest"(\n\x12ServerLiveResponse\x12\x12\n\x04live\x18\x01 \x01(\x08R\x04live'
    b'"\x14\n\x12ServerReadyRequest"+\n\x13ServerReadyResponse\x12\x14\n'
    b'\x05ready\x18\x01 \x01(\x08R\x05ready"A\n\x11ModelReadyRequest\x12\x12\n\x04name'
    b'\x18\x01 \x01(\tR\x04name\x12\x18\n\x07version\x18\x02 \x01(\tR\x07version"*\n\x12ModelR'
    b'eadyResponse\x12\x14\n\x05ready\x18\x01 \x01(\x08R\x05ready"\x17\n\x15ServerMeta'
    b'dataRequest"f\n\x16ServerMetadataResponse\x12\x12\n\x04name\x18\x01 '
    b'\x01(\tR\x04name\x12\x18\n\x07version\x18\x02 \x01(\tR\x07version\x12\x1e\n\nextension'
    b's\x18\x03 \x03(\tR\nextensions"D\n\x14ModelMetadataRequest\x12\x12\n\x04n'
    b'ame\x18\x01 \x01(\tR\x04name\x12\x18\n\x07version\x18\x02 \x01(\tR\x07version"\xcf\x02\n\x15Mo'
    b'delMetadataResponse\x12\x12\n\x04name\x18\x01 \x01(\tR\x04name\x12\x1a\n\x08versi'
    b'ons\x18\x02 \x03(\tR\x08versions\x12\x1a\n\x08platform\x18\x03 \x01(\tR\x08platform\x12'
    b'G\n\x06inputs\x18\x04 \x03(\x0b2/.inference.ModelMetadataRespons'
    b'e.TensorMetadataR\x06inputs\x12I\n\x07outputs\x18\x05 \x03(\x0b2/.infe'
    b'rence.ModelMetadataResponse.TensorMetadataR\x07outp'
    b'uts\x1aV\n\x0eTensorMetadata\x12\x12\n\x04name\x18\x01 \x01(\tR\x04name\x12\x1a\n\x08dat'
    b'atype\x18\x02 \x01(\tR\x08datatype\x12\x14\n\x05shape\x18\x03 \x03(\x03R\x05shape"\xd7\x01\n\x0e'
    b'InferParameter\x12\x1f\n\nbool_param\x18\x01 \x01(\x08H\x00R\tboolParam\x12'
    b'!\n\x0bint64_param\x18\x02 \x01(\x03H\x00R\nint64Param\x12#\n\x0cstring_par'
    b'am\x18\x03 \x01(\tH\x00R\x0bstringParam\x12#\n\x0cdouble_param\x18\x04 \x01(\x01H\x00R'
    b'\x0bdoubleParam\x12#\n\x0cuint64_param\x18\x05 \x01(\x04H\x00R\x0buint64Para'
    b'mB\x12\n\x10parameter_choice"\xc3\x02\n\x13InferTensorContents\x12#\n'
    b'\rbool_contents\x18\x01 \x03(\x08R\x0cboolContents\x12!\n\x0cint_conten'
    b'ts\x18\x02 \x03(\x05R\x0bintContents\x12%\n\x0eint64_contents\x18\x03 \x03(\x03R\ri'
    b'nt64Contents\x12#\n\ruint_contents\x18\x04 \x03(\rR\x0cuintContent'
    b"s\x12'\n\x0fuint64_contents\x18\x05 \x03(\x04R\x0euint64Contents\x12#\n\rfp"
    b'32_contents\x18\x06 \x03(\x02R\x0cfp32Contents\x12#\n\rfp64_contents'
    b'\x18\x07 \x03(\x01R\x0cfp64Contents\x12%\n\x0ebytes_contents\x18\x08 \x03(\x0cR\rby'
    b'tesContents"\x9d\x08\n\x11ModelInferRequest\x12\x1d\n\nmodel_name\x18'
    b'\x01 \x01(\tR\tmodelName\x12#\n\rmodel_version\x18\x02 \x01(\tR\x0cmodelVe'
    b'rsion\x12\x0e\n\x02id\x18\x03 \x01(\tR\x02id\x12L\n\nparameters\x18\x04 \x03(\x0b2,.infe'
    b'rence.ModelInferRequest.ParametersEntryR\nparamet'
    b'ers\x12E\n\x06inputs\x18\x05 \x03(\x0b2-.inference.ModelInferReques'
    b't.InferInputTensorR\x06inputs\x12Q\n\x07outputs\x18\x06 \x03(\x0b27.in'
    b'ference.ModelInferRequest.InferRequestedOutputTe'
    b'nsorR\x07outputs\x12,\n\x12raw_input_contents\x18\x07 \x03(\x0cR\x10rawIn'
    b'putContents\x1a\xcd\x02\n\x10InferInputTensor\x12\x12\n\x04name\x18\x01 \x01(\tR\x04'
    b'name\x12\x1a\n\x08datatype\x18\x02 \x01(\tR\x08datatype\x12\x14\n\x05shape\x18\x03 \x03(\x03R'
    b'\x05shape\x12]\n\nparameters\x18\x04 \x03(\x0b2=.inference.ModelInfe'
    b'rRequest.InferInputTensor.ParametersEntryR\nparam'
    b'eters\x12:\n\x08contents\x18\x05 \x01(\x0b2\x1e.inference.InferTensorC'
    b'ontentsR\x08contents\x1aX\n\x0fParametersEntry\x12\x10\n\x03key\x18\x01 \x01('
    b'\tR\x03key\x12/\n\x05value\x18\x02 \x01(\x0b2\x19.inference.InferParameter'
    b'R\x05value:\x028\x01\x1a\xf3\x01\n\x1aInferRequestedOutputTensor\x12\x12\n\x04na'
    b'me\x18\x01 \x01(\tR\x04name\x12g\n\nparameters\x18\x02 \x03(\x0b2G.inference.M'
    b'odelInferRequest.InferRequestedOutputTensor.Para'
    b'metersEntryR\nparameters\x1aX\n\x0fParametersEntry\x12\x10\n\x03ke'
    b'y\x18\x01 \x01(\tR\x03key\x12/\n\x05value\x18\x02 \x01(\x0b2\x19.inference.InferPar'
    b'ameterR\x05value:\x028\x01\x1aX\n\x0fParametersEntry\x12\x10\n\x03key\x18\x01 \x01('
    b'\tR\x03key\x12/\n\x05value\x18\x02 \x01(\x0b2\x19.inference.InferParameter'
    b'R\x05value:\x028\x01"\xdf\x05\n\x12ModelInferResponse\x12\x1d\n\nmodel_name'
    b'\x18\x01 \x01(\tR\tmodelName\x12#\n\rmodel_version\x18\x02 \x01(\tR\x0cmodelV'
    b'ersion\x12\x0e\n\x02id\x18\x03 \x01(\tR\x02id\x12M\n\nparameters\x18\x04 \x03(\x0b2-.inf'
    b'erence.ModelInferResponse.ParametersEntryR\nparam'
    b'eters\x12I\n\x07outputs\x18\x05 \x03(\x0b2/.inference.ModelInferRes'
    b'ponse.InferOutputTensorR\x07outputs\x12.\n\x13raw_output_c'
    b'ontents\x18\x06 \x03(\x0cR\x11rawOutputContents\x1a\xd0\x02\n\x11InferOutput'
    b'Tensor\x12\x12\n\x04name\x18\x01 \x01(\tR\x04name\x12\x1a\n\x08datatype\x18\x02 \x01(\tR\x08da'
    b'tatype\x12\x14\n\x05shape\x18\x03 \x03(\x03R\x05shape\x12_\n\nparameters\x18\x04 \x03(\x0b'
    b'2?.inference.ModelInferResponse.InferOutputTenso'
    b'r.ParametersEntryR\nparameters\x12:\n\x08contents\x18\x05 \x01(\x0b2'
    b'\x1e.inference.InferTensorContentsR\x08contents\x1aX\n\x0fPar'
    b'ametersEntry\x12\x10\n\x03key\x18\x01 \x01(\tR\x03key\x12/\n\x05value\x18\x02 \x01(\x0b2\x19.'
    b'inference.InferParameterR\x05value:\x028\x01\x1aX\n\x0fParameter'
    b'sEntry\x12\x10\n\x03key\x18\x01 \x01(\tR\x03key\x12/\n\x05value\x18\x02 \x01(\x0b2\x19.infere'
    b'nce.InferParameterR\x05value:\x028\x01"\x85\x01\n\x18ModelStreamInf'
    b'erResponse\x12#\n\rerror_message\x18\x01 \x01(\tR\x0cerrorMessage\x12'
    b'D\n\x0einfer_response\x18\x02 \x01(\x0b2\x1d.inference.ModelInferRe'
    b'sponseR\rinferResponse"W\n\x16RepositoryIndexRequest\x12'
    b"'\n\x0frepository_name\x18\x01 \x01(\tR\x0erepositoryName\x12\x14\n\x05read"
    b'y\x18\x02 \x01(\x08R\x05ready"\xca\x01\n\x17RepositoryIndexResponse\x12E\n\x06mo'
    b'dels\x18\x01 \x03(\x0b2-.inference.RepositoryIndexResponse.M'
    b'odelIndexR\x06models\x1ah\n\nModelIndex\x12\x12\n\x04name\x18\x01 \x01(\tR\x04n'
    b'ame\x12\x18\n\x07version\x18\x02 \x01(\tR\x07version\x12\x14\n\x05state\x18\x03 \x01(\tR\x05st'
    b'ate\x12\x16\n\x06reason\x18\x04 \x01(\tR\x06reason2\xb5\x05\n\x14GRPCInferenceSer'
    b'vice\x12K\n\nServerLive\x12\x1c.inference.ServerLiveRequest'
    b'\x1a\x1d.inference.ServerLiveResponse"\x00\x12N\n\x0bServerReady'
    b'\x12\x1d.inference.ServerReadyRequest\x1a\x1e.inference.Serv'
    b'erReadyResponse"\x00\x12K\n\nModelReady\x12\x1c.inference.Mode'
    b'lReadyRequest\x1a\x1d.inference.ModelReadyResponse"\x00\x12W'
    b'\n\x0eServerMetadata\x12 .inference.ServerMetadataReque'
    b'st\x1a!.inference.ServerMetadataResponse"\x00\x12T\n\rModel'
    b'Metadata\x12\x1f.inference.ModelMetadataRequest\x1a .infe'
    b'rence.ModelMetadataResponse"\x00\x12K\n\nModelInfer\x12\x1c.in'
    b'ference.ModelInferRequest\x1a\x1d.inference.ModelInfer'
    b'Response"\x00\x12[\n\x10ModelStreamInfer\x12\x1c.inference.Model'
    b'InferRequest\x1a#.inference.ModelStreamInferRespons'
    b'e"\x00(\x010\x01\x12Z\n\x0fRepositoryIndex\x12!.inference.Repositor'
    b'yIndexRequest\x1a".inference.RepositoryIndexRespons'
    b'e"\x00b\x06proto3'
)

POOL = descriptor_pool.DescriptorPool()
DESCRIPTOR = POOL.AddSerializedFile(SERIALIZED)

ServerLiveRequest = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ServerLiveRequest"])
ServerLiveResponse = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ServerLiveResponse"])
ServerReadyRequest = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ServerReadyRequest"])
ServerReadyResponse = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ServerReadyResponse"])
ModelReadyRequest = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ModelReadyRequest"])
ModelReadyResponse = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ModelReadyResponse"])
ServerMetadataRequest = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ServerMetadataRequest"])
ServerMetadataResponse = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ServerMetadataResponse"])
ModelMetadataRequest = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ModelMetadataRequest"])
ModelMetadataResponse = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ModelMetadataResponse"])
InferParameter = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["InferParameter"])
InferTensorContents = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["InferTensorContents"])
ModelInferRequest = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ModelInferRequest"])
ModelInferResponse = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ModelInferResponse"])
ModelStreamInferResponse = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["ModelStreamInferResponse"])
RepositoryIndexRequest = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["RepositoryIndexRequest"])
RepositoryIndexResponse = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["RepositoryIndexResponse"])
